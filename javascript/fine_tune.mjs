// The only file that the WebUI puts into its page: it loads the tab's own page when the tab is first seen, and sends a
// generated picture to it.

onUiLoaded(() => {
  const root = gradioApp().querySelector("#sdft_root");
  if (!(root instanceof HTMLElement)) return;
  // gradio styles headings, lists and tables below this as prose; the page has its own style.
  root.closest(".prose")?.classList.remove("prose");
  // Relative to the page, so that a WebUI below a path (--subpath) works as well.
  /** @param {string} name */
  const load = (name) => import(new URL(`sdft/page/${name}`, document.baseURI).href);
  /** @type {Promise<unknown> | null} */
  let mounted = null;
  const open = () => (mounted ??= load("main.mjs").then(({ mount }) => mount(root)));
  const seen = new IntersectionObserver(async (entries) => {
    if (!entries.some((entry) => entry.isIntersecting)) return;
    seen.disconnect();
    try {
      await open();
    } catch (error) {
      root.textContent = "The Fine-tune page could not be loaded: reload the page. The browser's console says why.";
      console.error(error);
    }
  });
  seen.observe(root);
  // Another checkpoint may have been chosen.
  onOptionsChanged(() => root.dispatchEvent(new Event("sdft-options")));
  for (const tab of ["txt2img", "img2img"]) {
    gradioApp().querySelector(`#${tab}_send_to_sdft`)?.addEventListener("click", async () => {
      const { pictureOf, showTab } = await load("shared/webui.mjs");
      const detail = await pictureOf(tab).catch((/** @type {Error} */ error) => ({ problem: error.message }));
      showTab("tab_sdft");
      await open();
      root.dispatchEvent(new CustomEvent("sdft-picture", { detail }));
    });
  }
});
