/* The gateway's own pages in the popup or on the phone: before the PG's window and after it. */
(function () {
  'use strict';

  var HEARD_MS = 3000; // the shop's page answers at once, or it is not there any more
  var node = document.getElementById('naru');
  var said = node ? JSON.parse(node.textContent) : {};

  function opener() {
    try { return window.opener && !window.opener.closed ? window.opener : null; } catch (e) { return null; }
  }

  function post(message, origin) {
    var to = opener();
    if (!to) { return false; }
    message.from = 'naru';
    try { to.postMessage(JSON.stringify(message), origin); } catch (e) { return false; }
    return true;
  }

  function element(id) { return document.getElementById(id); }

  /* The shop's page forbids forms to leave it, so the request came behind the `#`. Take it out of the
     address and of the history before anything else. */
  function pickUp() {
    var body = '';
    try { body = decodeURIComponent(window.location.hash.slice(1)); } catch (e) { /* cut off on the way */ }
    window.history.replaceState(null, '', window.location.pathname);
    if (!body) { element('lost').hidden = false; element('wait').hidden = true; return; }
    element('request').value = body;
    element('form').submit();
  }

  /* Tells the shop's page that we are here, then goes to the PG. A page without an origin that messages could
     be addressed to is greeted too: the greeting carries nothing. */
  function open() {
    if (said.device === 'pc') {
      post({ action: 'hello', imp_uid: said.origin === 'null' ? null : said.imp_uid, returns_at: said.returns_at },
        said.origin === 'null' ? '*' : said.origin);
    }
    element('form').submit();
  }

  function result() {
    var told, heard = false;
    if (said.redirect) { window.location.replace(said.redirect); return; }
    if (said.device !== 'pc') { return; }
    window.addEventListener('message', function (e) {
      var answer;
      if (e.source !== window.opener || typeof e.data !== 'string') { return; }
      try { answer = JSON.parse(e.data); } catch (error) { return; }
      if (answer && answer.from === 'naru' && answer.action === 'heard') { heard = true; window.close(); }
    });
    told = said.origin === 'null'
      ? post({ action: 'look' }, '*')
      : post({ action: 'done', request_id: said.request_id, response: said.response }, said.origin);
    setTimeout(function () { if (!heard) { document.body.className += ' alone'; } }, told ? HEARD_MS : 0);
    element('close').addEventListener('click', function () { window.close(); });
  }

  /* Default result pages inside an app: tell the app in the words that its bridge understands. */
  function bridge() {
    if (element('close')) { element('close').addEventListener('click', function () { window.close(); }); }
    if (!said.response) { return; }
    var text = JSON.stringify(said.response);
    if (window.ReactNativeWebView && window.ReactNativeWebView.postMessage) { window.ReactNativeWebView.postMessage(text); }
    if (window.flutter_inappwebview && window.flutter_inappwebview.callHandler) {
      window.flutter_inappwebview.callHandler('iamport', said.response);
    }
    if (window.webkit && window.webkit.messageHandlers && window.webkit.messageHandlers.iamport) {
      window.webkit.messageHandlers.iamport.postMessage(said.response);
    }
  }

  ({ hand: pickUp, open: open, result: result, bridge: bridge }[said.step] || function () {})();
})();
