// The page without a WebUI: light or dark as the system wants it, or as ?__theme= says.

import { mount } from "./main.mjs";

const wanted = new URLSearchParams(location.search).get("__theme");
const system = matchMedia("(prefers-color-scheme: dark)");
const dress = () => document.body.classList.toggle("dark", wanted ? wanted === "dark" : system.matches);
system.addEventListener("change", dress);
dress();
mount(document.querySelector("#sdft_root"));
