// The page without a WebUI: light or dark as the system asks for, or as ?__theme= says.

import { mount } from "./main.mjs";

const theme = new URLSearchParams(location.search).get("__theme");
const dark = matchMedia("(prefers-color-scheme: dark)");
const applyTheme = () => document.body.classList.toggle("dark", theme ? theme === "dark" : dark.matches);
dark.addEventListener("change", applyTheme);
applyTheme();
const root = document.querySelector("#sdft_root");
if (root instanceof HTMLElement) mount(root);
