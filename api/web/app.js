import * as ask from "/static/ask.js";
import * as library from "/static/library.js";
import * as source from "/static/source.js";

ask.start();
source.start();
library.start({ forget: (id) => { source.forget(id); ask.forget(id); } });
