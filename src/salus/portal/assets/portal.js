// Starts NHS.UK frontend's components. A page is whole without this.
import { initAll } from "./nhsuk-frontend.js";

initAll();
