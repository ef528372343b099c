import * as ask from "/static/ask.js";
import * as library from "/static/library.js";
import * as source from "/static/source.js";

ask.start();
source.start();
library.start().catch((error) => { document.getElementById("library-message").textContent = error.message; });
