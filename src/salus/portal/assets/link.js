// The code of a link that was just made: copies its address, or prints the page. Without this both can be done by hand.

const place = document.querySelector("[data-copies]");
const address = place.querySelector("textarea");
const told = place.querySelector("[role=status]");

const does = {
  async copy() {
    address.select();
    await navigator.clipboard.writeText(address.value);
    told.textContent = place.dataset.copies;
    told.hidden = false;
  },
  print() {
    window.print();
  },
};

for (const button of place.querySelectorAll("button[data-does]")) {
  button.hidden = false;
  button.addEventListener("click", does[button.dataset.does]);
}
