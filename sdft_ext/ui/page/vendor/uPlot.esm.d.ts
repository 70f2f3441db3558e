// The types of the chart library beside this file come with its package, in the same version.

export { default } from "uplot";
