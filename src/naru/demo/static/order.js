/* Shows what arrives while the page is open: webhooks come when they come. */
(function () {
  'use strict';

  var outcome = document.getElementById('outcome');
  var left = 300; // ten minutes are enough of watching

  function look() {
    if (document.hidden) { setTimeout(look, 2000); return; }
    fetch('/orders/' + encodeURIComponent(outcome.dataset.order) + '/version').then(function (r) { return r.json(); })
      .then(function (answer) {
        if (String(answer.version) !== outcome.dataset.version) { location.reload(); } else { again(); }
      }, again);
  }

  function again() { if (left-- > 0) { setTimeout(look, 2000); } }

  // Somebody who is typing does not want the page to be drawn anew.
  document.addEventListener('input', function () { left = 0; });
  again();
})();
