// @ts-check
// The appearance chosen before, set before anything is drawn; a module would come too late. `appearance.js` changes it.

const chosen = localStorage.getItem("mllm-theme");
if (chosen === "light" || chosen === "dark") document.documentElement.dataset.theme = chosen;
