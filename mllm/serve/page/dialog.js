// @ts-check
// A dialog that is confirmed or closed.

/** @param {HTMLDialogElement} dialog @returns {Promise<boolean>} whether it was confirmed */
export function open(dialog) {
  const [form, close] = [dialog.querySelector("form"), dialog.querySelector("[data-close]")];
  if (!form || !(close instanceof HTMLButtonElement)) throw new Error(`#${dialog.id} has no form or no way out`);
  dialog.returnValue = "";
  close.onclick = () => dialog.close();
  form.onsubmit = (event) => {
    event.preventDefault();
    dialog.close("confirmed");
  };
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => resolve(dialog.returnValue === "confirmed"), { once: true });
  });
}
