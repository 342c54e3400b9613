/* The slip page: a print button, or on to the PG's own slip at once. */
"use strict";
(function () {
  var go = document.getElementById("go");
  if (go) go.submit();
  var print = document.getElementById("print");
  if (print) {
    print.hidden = false;
    print.addEventListener("click", function () { window.print(); });
  }
})();
