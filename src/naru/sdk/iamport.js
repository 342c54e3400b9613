/*! iamport.js for Naru: window.IMP, as shops of PortOne V1 know it. Apache-2.0 */
/*
 * How a shop's page and the gateway talk, and why so:
 *
 *   shop's page --(form post)--> gateway's page --(form post)--> the PG's window --> gateway's page
 *        ^                                                                               |
 *        +------------- postMessage, or the answer of a script tag ----------------------+
 *
 * - Nothing is sent with fetch, an iframe or a cookie unless all else fails: a shop's
 *   Content-Security-Policy that lets this file in (script-src) is enough. Parameters travel in a form post
 *   into the popup (phone: the page itself), so that a buyer's name stays out of URLs, logs and history.
 *   A page whose form-action forbids even that gets a plain navigation with the parameters behind the `#`.
 * - Questions ("what became of it?") are script tags, never with personal data. `request_id`, 128 random
 *   bits made here, is what proves that the asker is the page that began the payment.
 * - The result comes by postMessage to this page's exact origin. Where the link between the windows was cut
 *   (Cross-Origin-Opener-Policy, pages opened from disk) it is asked for instead.
 *
 * Nothing here decides whether money moved: the gateway settles first and answers afterwards.
 */
(function (window, document) {
  'use strict';

  if (window.IMP && typeof window.IMP.request_pay === 'function') { return; } // included twice

  var POPUP = { name: 'STPG_WALLET', width: 720, height: 630 };
  var SAME_CLICK_MS = 2000;      // a second call this soon is a double click, not a new order
  var WATCH_MS = 300;            // how often we look whether the popup was closed
  var POLL_MS = 2000;            // how often we ask when the windows cannot talk to each other
  var HAND_OVER_MS = 4000;       // a form post that has not left by now was stopped by the page's policy
  var ANSWER_MS = 35000;         // longer than the gateway's own budget of 28 s
  var UNKNOWN_MS = 15000;        // the popup is gone and the gateway never heard of the request
  var TRIES = 3;
  var GAVE_UP = '[결제포기] 사용자가 결제를 취소하셨습니다';
  var GAVE_UP_CODE = '0009';     // Hecto's own; native clients take an answer without any code for a success

  var WORDS = {
    ko: { blocked: '팝업차단을 해제해주셔야 결제창이 나타납니다.',
          title: '결제창에서 결제를 진행해 주세요.', leaving: '결제창으로 이동하고 있습니다.',
          asking: '결제 결과를 확인하고 있습니다.', look: '결제창 보기', cancel: '결제 취소' },
    en: { blocked: 'Please allow pop-ups for this site to see the payment window.',
          title: 'Please continue in the payment window.', leaving: 'Taking you to the payment window.',
          asking: 'Checking the result of your payment.', look: 'Show payment window', cancel: 'Cancel payment' },
    ja: { blocked: 'ポップアップブロックを解除すると決済画面が表示されます。',
          title: '決済画面でお手続きを進めてください。', leaving: '決済画面へ移動しています。',
          asking: '決済結果を確認しています。', look: '決済画面を表示', cancel: '決済を中止' }
  };

  var user = { code: null, tier: null };
  var channels = { state: 'none', list: null, waiting: [] };
  var pending = null;            // the one request that is under way

  // The gateway is wherever this file came from; a shop changes <script src> and nothing else.
  var own = ownAddress();
  var slots = { CORE_SERVER: own.base, CHECKOUT_SERVER: own.base, VERSION: 'naru-1' };

  function ownAddress() {
    var here = /** @type {HTMLScriptElement | null} */ (document.currentScript);
    var path = /^(.*?)\/(?:v1\/iamport(?:\.esm)?|js\/iamport\.payment[^\/]*)\.js(?:[?#].*)?$/;
    var found = here && here.src ? path.exec(here.src) : null;
    for (var i = document.scripts.length; !found && i--;) { found = path.exec(document.scripts[i].src || ''); }
    return {
      base: found ? found[1] : (here && here.src ? originOf(here.src) : ''),
      nonce: (here && (here.nonce || here.getAttribute('nonce'))) || ''
    };
  }

  function core() { return String(slots.CORE_SERVER || own.base).replace(/\/+$/, ''); }

  function whole(url) {
    var a = document.createElement('a');
    a.href = url;
    return a.href;
  }

  function originOf(url) {
    var a = document.createElement('a');
    a.href = url;
    // A default port is written by some browsers and not by others.
    return a.protocol + '//' + a.host.replace(a.protocol === 'https:' ? /:443$/ : /:80$/, '');
  }

  /* 'null' for pages from disk and sandboxed frames: no message can be addressed to those. */
  function ownOrigin() {
    var here = originOf(window.location.href);
    return /^https?:/.test(here) && window.origin !== 'null' ? here : 'null';
  }

  function words() {
    var language = String(window.navigator.language || 'ko').slice(0, 2).toLowerCase();
    return WORDS[language] || WORDS.en;
  }

  function isPhone() { return /iPhone|iPad|iPod|Android|Mobile/.test(window.navigator.userAgent); }

  function isNativeBridge() { return Boolean(window.ReactNativeWebView || window.flutter_inappwebview); }

  function randomId() {
    var i, text = '', bytes = new Array(16);
    if (window.crypto && window.crypto.getRandomValues) {
      bytes = Array.prototype.slice.call(window.crypto.getRandomValues(new Uint8Array(16)));
    } else {
      for (i = 0; i < 16; i++) { bytes[i] = Math.floor(Math.random() * 256); }
    }
    for (i = 0; i < 16; i++) { text += ('0' + bytes[i].toString(16)).slice(-2); }
    return text;
  }

  function copy(from) {
    var to = {}, key;
    for (key in from) { if (Object.prototype.hasOwnProperty.call(from, key)) { to[key] = from[key]; } }
    return to;
  }

  // ---------------------------------------------------------------- asking the gateway

  /* Asks with a script tag; `then` gets the answer, or null when none can be had. */
  function ask(path, params, then) {
    var url = core() + path, name = '__imp_' + randomId(), script = document.createElement('script');
    var pairs = [], query, key, timer, over = false;
    for (key in params) {
      if (params[key] !== null && params[key] !== undefined) {
        pairs.push(encodeURIComponent(key) + '=' + encodeURIComponent(params[key]));
      }
    }
    query = pairs.length ? '?' + pairs.join('&') : '';

    function end(answer) {
      if (over) { return; }
      over = true;
      clearTimeout(timer);
      // A late script still finds its function: an answer after the time limit must not be an error on the page.
      window[name] = function () { try { delete window[name]; } catch (e) { window[name] = undefined; } };
      if (script.parentNode) { script.parentNode.removeChild(script); }
      then(answer);
    }
    // A policy that names this very file and no other of ours, or Trusted Types, stops the tag: try as data.
    function asData() {
      if (over) { return; }
      if (!window.fetch) { end(null); return; }
      window.fetch(url + query, { credentials: 'omit', cache: 'no-store' })
        .then(function (r) { return r.json(); }).then(end, function () { end(null); });
    }

    window[name] = end;
    timer = setTimeout(function () { end(null); }, ANSWER_MS);
    script.async = true;
    script.charset = 'utf-8';
    script.onerror = asData;
    script.onload = function () { setTimeout(function () { end(null); }, 0); };
    if (own.nonce) { script.nonce = own.nonce; script.setAttribute('nonce', own.nonce); }
    try {
      script.src = url + query + (query ? '&' : '?') + 'callback=' + name;
      (document.head || document.documentElement).appendChild(script);
    } catch (e) { asData(); }
  }

  function loadChannels() {
    var wanted = user.code + '/' + user.tier;
    channels = { state: 'asked', list: null, waiting: channels.waiting };
    ask('/users/pg/' + encodeURIComponent(user.code), { tier: user.tier }, function (answer) {
      if (wanted !== user.code + '/' + user.tier) { return; } // init was called again with another code
      channels.state = 'known';
      // null: we could not find out, and let the gateway say it.
      channels.list = answer ? (answer.code === 0 && answer.data) || [] : null;
      var waiting = channels.waiting;
      channels.waiting = [];
      for (var i = 0; i < waiting.length; i++) { waiting[i](channels.list); }
    });
  }

  function whenChannelsKnown(then) {
    if (channels.state === 'known') { then(channels.list); } else { channels.waiting.push(then); }
  }

  // ---------------------------------------------------------------- what the buyer sees on the shop's page

  /* The veil over the shop's page. The names are those that shops have styled for years; the text sits in an
     empty iframe so that neither page's styles touch the other's. Styles are set by script, never as text:
     a page's style-src does not forbid that. */
  function showVeil(phone, request) {
    var ios = phone && /iPhone|iPad|iPod/.test(window.navigator.userAgent);
    var veil = document.createElement('div'), frame = document.createElement('iframe');
    veil.className = 'imp-dialog customizable payment-settle ' + (phone ? 'mobile' : 'pc') + (ios ? ' ios' : '');
    veil.style.cssText = 'display:block;position:fixed;top:0;right:0;bottom:0;left:0;width:100%;height:100%;' +
      'z-index:99999;background:rgba(0,0,0,.5)';
    frame.className = 'imp-frame imp-frame-' + (phone ? 'mobile' : 'pc') + ' imp-frame-settle imp-frame-default';
    frame.title = 'payment';
    frame.style.cssText = 'width:100%;height:100%;border:0;background:transparent;color-scheme:normal';
    veil.appendChild(frame);
    (document.body || document.documentElement).appendChild(veil);
    if (phone && document.body) { document.body.classList.add('imp-payment-progress'); }
    fillVeil(frame, phone, request);
    return veil;
  }

  function fillVeil(frame, phone, request) {
    var inside, card, text, bar, say = words();
    try { inside = frame.contentDocument; } catch (e) { inside = null; }
    if (!inside || !inside.body) { return; } // the grey veil alone will do
    function element(tag, style, content) {
      var e = inside.createElement(tag);
      e.style.cssText = style;
      if (content) { e.textContent = content; }
      return e;
    }
    function button(content, style, act) {
      var b = element('button', 'font:inherit;font-size:14px;padding:10px 18px;border-radius:8px;cursor:pointer;' +
        'margin:0 4px 8px;' + style, content);
      b.type = 'button';
      b.addEventListener('click', act);
      return b;
    }
    inside.documentElement.lang = say === WORDS.ko ? 'ko' : say === WORDS.ja ? 'ja' : 'en';
    inside.documentElement.style.cssText = 'height:100%;background:transparent';
    inside.body.style.cssText = 'margin:0;height:100%;display:flex;align-items:center;justify-content:center;' +
      'font-family:-apple-system,BlinkMacSystemFont,"Malgun Gothic","Apple SD Gothic Neo","Noto Sans CJK KR",sans-serif';
    card = element('div', 'background:#fff;color:#1b1f24;border-radius:14px;padding:28px 28px 20px;margin:16px;' +
      'max-width:340px;text-align:center;box-shadow:0 12px 40px rgba(0,0,0,.25)');
    text = element('p', 'margin:0 0 20px;font-size:16px;line-height:1.5', phone ? say.leaving : say.title);
    text.setAttribute('role', 'status');
    card.appendChild(text);
    if (!phone) {
      bar = element('div', '');
      request.look = bar.appendChild(button(say.look, 'border:1px solid #1f5eff;background:#1f5eff;color:#fff', function () {
        try { request.popup.focus(); } catch (e) { /* gone */ }
      }));
      request.cancel = bar.appendChild(button(say.cancel, 'border:1px solid #c9ced6;background:#fff;color:#1b1f24', function () {
        buyerClosed(request);
      }));
      card.appendChild(bar);
      request.text = text;
      request.bar = bar;
    }
    inside.body.appendChild(card);
  }

  function hideVeil(request) {
    if (request.veil && request.veil.parentNode) { request.veil.parentNode.removeChild(request.veil); }
    request.veil = null;
    if (document.body && (!pending || pending === request)) { document.body.classList.remove('imp-payment-progress'); }
  }

  // ---------------------------------------------------------------- handing a request over

  /* Posts the request to the gateway in the window called `target`. `instead` navigates there when the
     shop's form-action policy stops forms: the browser says so in an event, old ones by doing nothing. */
  function handOver(request, target, instead) {
    var form = document.createElement('form'), field = document.createElement('input'), timer;
    function stop() {
      clearTimeout(timer);
      document.removeEventListener('securitypolicyviolation', refused);
      if (form.parentNode) { form.parentNode.removeChild(form); }
    }
    function refused(e) {
      var directive = e.effectiveDirective || e.violatedDirective || '';
      if (directive.indexOf('form-action') !== 0 || e.disposition === 'report') { return; }
      stop();
      instead();
    }
    form.method = 'post';
    form.action = core() + '/sdk/window';
    form.target = target;
    form.acceptCharset = 'UTF-8'; // old shops are EUC-KR
    form.style.display = 'none';
    field.type = 'hidden';
    field.name = 'request';
    field.value = request.body;
    form.appendChild(field);
    (document.body || document.documentElement).appendChild(form);
    document.addEventListener('securitypolicyviolation', refused);
    timer = setTimeout(function () { stop(); instead(true); }, HAND_OVER_MS);
    request.stopHandOver = stop;
    HTMLFormElement.prototype.submit.call(form);
  }

  function address(request) { return core() + '/sdk/window#' + encodeURIComponent(request.body); }

  // ---------------------------------------------------------------- PC: the popup

  function openPopup(request) {
    var x = Math.max(0, (window.screenX || 0) + ((window.outerWidth || POPUP.width) - POPUP.width) / 2);
    var y = Math.max(0, (window.screenY || 0) + ((window.outerHeight || POPUP.height) - POPUP.height) / 2);
    var features = 'width=' + POPUP.width + ',height=' + POPUP.height + ',left=' + Math.round(x) + ',top=' +
      Math.round(y) + ',scrollbars=yes,resizable=yes';
    var popup = null;
    // Synchronously, inside the click: later it would be blocked.
    try { popup = window.open('about:blank', POPUP.name, features); } catch (e) { popup = null; }
    if (!popup || typeof popup.closed === 'undefined' || popup.closed) { return false; }
    request.popup = popup;
    request.veil = showVeil(false, request);
    handOver(request, POPUP.name, function (late) {
      if (late) {
        // Only an empty window may be moved on: anything else has left already, however slowly.
        try { if (popup.closed || popup.location.href !== 'about:blank') { return; } } catch (e) { return; }
      }
      try { popup.location.replace(address(request)); } catch (e) { /* it was closed meanwhile */ }
    });
    request.watch = setInterval(function () { watch(request); }, WATCH_MS);
    try { popup.focus(); } catch (e) { /* not every browser lets us */ }
    return true;
  }

  function watch(request) {
    var closed = true, now = Date.now();
    try { closed = request.popup.closed; } catch (e) { /* gone */ }
    if (!closed) { request.goneAt = 0; return; }
    // The popup spoke to us and is gone now: the buyer closed it.
    if (request.hello) { buyerClosed(request); return; }
    // It never spoke. Either it was closed in its first moment, or the page's opener policy cut the link and
    // the buyer is paying in it right now: only the gateway can tell.
    request.goneAt = request.goneAt || now;
    if (request.asking || now - (request.askedAt || 0) < POLL_MS) { return; }
    request.asking = true;
    request.askedAt = now;
    ask('/sdk/outcome', { request: request.id }, function (answer) {
      request.asking = false;
      if (request.over) { return; }
      if (answer && answer.state === 'done') { finish(request, answer.response); return; }
      if (answer && answer.state === 'open') {
        request.imp_uid = answer.imp_uid || request.imp_uid;
        request.goneAt = Date.now();
        if (request.look) { request.look.style.display = 'none'; } // we cannot raise a window that we cannot see
        return;
      }
      if (Date.now() - request.goneAt > UNKNOWN_MS) { finish(request, refusal(request, GAVE_UP_CODE, GAVE_UP)); }
    });
  }

  /* The buyer closed the window or pressed our button. They may have paid first: the gateway looks at the PG. */
  function buyerClosed(request, left) {
    if (request.over || (request.closing && left === undefined)) { return; }
    request.closing = true;
    clearInterval(request.watch);
    if (request.text) { request.text.textContent = words().asking; }
    if (request.bar) { request.bar.style.display = 'none'; }
    closePopup(request);
    left = left === undefined ? TRIES : left;
    ask('/sdk/outcome', { request: request.id, closing: 1 }, function (answer) {
      if (request.over) { return; }
      if (answer && answer.state === 'done') { finish(request, answer.response); return; }
      if (answer && answer.state === 'none') { finish(request, refusal(request, GAVE_UP_CODE, GAVE_UP)); return; }
      if (left > 1) { setTimeout(function () { buyerClosed(request, left - 1); }, POLL_MS); return; }
      finish(request, refusal(request, 'F500', '결제 결과를 확인하지 못했습니다. 주문 내역에서 결제 여부를 확인해 주세요.'));
    });
  }

  function closePopup(request) {
    try { if (request.popup && !request.popup.closed) { request.popup.close(); } } catch (e) { /* gone */ }
  }

  /* Other people's messages are none of our business: only the popup that we opened, while it shows the
     gateway's own page, is heard. Browser extensions post all sorts of things. */
  function onMessage(e) {
    var request = pending, said;
    if (!request || !request.popup || e.source !== request.popup) { return; }
    if (e.origin !== originOf(core()) && e.origin !== request.returnsAt) { return; }
    if (typeof e.data !== 'string' || e.data.indexOf('"naru"') < 0) { return; }
    try { said = JSON.parse(e.data); } catch (error) { return; }
    if (!said || said.from !== 'naru') { return; }
    if (said.action === 'hello') {
      request.hello = true;
      request.imp_uid = said.imp_uid || request.imp_uid;
      // A gateway with two names (localhost and 127.0.0.1): the PG sends the buyer back to the public one.
      request.returnsAt = said.returns_at;
      if (request.stopHandOver) { request.stopHandOver(); }
    } else if (said.action === 'done' && said.request_id === request.id) {
      acknowledge(request, e.origin);
      finish(request, said.response);
    } else if (said.action === 'look') {
      // This page has no origin that a message could be addressed to (opened from disk).
      acknowledge(request, e.origin);
      buyerClosed(request);
    }
  }

  function acknowledge(request, origin) {
    try {
      request.popup.postMessage(JSON.stringify({ from: 'naru', action: 'heard' }), origin);
    } catch (e) { /* it closes all the same */ }
  }

  // ---------------------------------------------------------------- phone: the page itself

  function leavePage(request) {
    var framed = true;
    try { framed = window.top !== window; } catch (e) { /* another origin above us */ }
    request.veil = request.veil || showVeil(true, request);
    handOver(request, framed ? '_top' : '_self', function () {
      var to = address(request);
      try { (framed ? window.top : window).location.href = to; } catch (e) { window.location.href = to; }
    });
  }

  /* On a phone the page is gone once the window opens, so whatever can be refused is refused before.
     Personal data is blanked: this question travels in a URL. */
  function checkThenLeave(request) {
    var params = copy(request.params), key;
    for (key in params) {
      if (/^buyer_/.test(key) && params[key]) {
        params[key] = key === 'buyer_tel' ? String(params[key]).replace(/[0-9]/g, '0') : 'x';
      }
    }
    delete params.custom_data;
    request.veil = showVeil(true, request);
    ask('/sdk/check', { request: JSON.stringify(envelope(request, params)) }, function (answer) {
      if (request.over) { return; }
      if (answer && answer.response) { finish(request, answer.response); } else { leavePage(request); }
    });
  }

  // The buyer came back with the back button and the browser kept our page: start afresh.
  window.addEventListener('pageshow', function (e) {
    if (e.persisted && pending && pending.phone) { drop(pending); }
  });
  window.addEventListener('pagehide', function () {
    if (pending && pending.stopHandOver) { pending.stopHandOver(); }
  });
  window.addEventListener('message', onMessage);

  // ---------------------------------------------------------------- a request's life

  function envelope(request, params) {
    return {
      request_id: request.id, imp_code: user.code, tier: user.tier || null,
      device: request.phone ? 'mobile' : 'pc', origin: ownOrigin(),
      callback: Boolean(request.callback), sdk: slots.VERSION, params: params
    };
  }

  function refusal(request, code, message) {
    return { success: false, imp_success: false, imp_uid: request.imp_uid || null, merchant_uid: request.merchant_uid,
             error_code: code, error_msg: message };
  }

  function drop(request) {
    request.over = true;
    clearInterval(request.watch);
    if (request.stopHandOver) { request.stopHandOver(); }
    hideVeil(request);
    if (pending === request) { pending = null; }
  }

  function finish(request, response) {
    if (request.over) { return; }
    drop(request);
    closePopup(request);
    tell(request.callback, response);
  }

  /* Hands the result to the shop. Its mistakes are its own: they reach the page's error handlers and leave
     nothing of ours behind. */
  function tell(callback, response) {
    if (typeof callback !== 'function') {
      // Nobody listens: say it to the buyer, unless it was the buyer who left.
      if (response && response.success !== true && response.error_msg !== GAVE_UP) { window.alert(response.error_msg); }
      return;
    }
    try { callback(response); } catch (e) { setTimeout(function () { throw e; }, 0); }
  }

  function ready(params) {
    if (!params || typeof params !== 'object') {
      window.alert('결제요청 파라메터가 누락되었습니다.');
      return false;
    }
    if (!user.code) {
      window.alert('판매자 코드가 설정되지 않았습니다. IMP.init()함수를 먼저 호출하세요.');
      return false;
    }
    return true;
  }

  function notReady(request) {
    return { success: false, imp_success: false, imp_uid: null, merchant_uid: request.merchant_uid,
             error_code: 'NOT_READY', error_msg: '등록 된 PG 설정 정보를 찾을 수 없습니다.' };
  }

  function broken(e) {
    window.alert('결제모듈 구동 중에 오류가 발생하였습니다. 페이지 새로고침 후 다시 시도해주세요.\n' + (e && e.message ? e.message : e));
  }

  function merchantUid(params) {
    var given = params.merchant_uid;
    return given === undefined || given === null || given === '' ? 'nobody_' + Date.now() : String(given);
  }

  // ---------------------------------------------------------------- what the shop calls

  function init(code) {
    agency(code, null);
  }

  function agency(code, tier) {
    code = code === undefined || code === null ? null : String(code);
    tier = tier ? String(tier) : null;
    if (code === user.code && tier === user.tier) { return; }
    user = { code: code, tier: tier };
    if (code) { loadChannels(); }
  }

  function request_pay(params, callback) {
    var /** @type {any} */ request, other;
    if (!ready(params)) { return false; }
    try {
      params = copy(params);
      // Clients of native apps send "1004"; a web page that does so has a mistake to hear about.
      if (isNativeBridge() && typeof params.amount === 'string' && /^[0-9]+$/.test(params.amount)) {
        params.amount = Number(params.amount);
      }
      // "/done" means this shop's /done; the gateway is elsewhere and needs the whole address.
      if (typeof params.m_redirect_url === 'string' && params.m_redirect_url && !/^[A-Za-z][A-Za-z0-9+.-]*:/.test(params.m_redirect_url)) {
        params.m_redirect_url = whole(params.m_redirect_url);
      }
      var named = params.merchant_uid;
      params.merchant_uid = merchantUid(params);
      request = {
        id: randomId(), phone: isPhone(), params: params, merchant_uid: params.merchant_uid,
        callback: typeof callback === 'function' ? callback : null, imp_uid: null, startedAt: Date.now()
      };
      other = pending;
      if (other && named && other.merchant_uid === request.merchant_uid && !other.closing) {
        other.callback = request.callback || other.callback;
        raise(other);
        return;
      }
      if (other && request.startedAt - other.startedAt < SAME_CLICK_MS) { raise(other); return; }
      if (channels.state === 'known' && channels.list && !channels.list.length) {
        tell(request.callback, notReady(request));
        return;
      }
      request.body = JSON.stringify(envelope(request, params));
      if (other) { replace(other); }
      pending = request;
      if (request.phone) {
        if (request.callback) { checkThenLeave(request); } else { leavePage(request); }
      } else if (!openPopup(request)) {
        drop(request);
        window.alert(words().blocked);
        tell(request.callback, refusal(request, 'NOT READY', '팝업을 호출하는데 실패하였습니다.'));
      }
    } catch (e) {
      if (request && !request.over) { drop(request); }
      broken(e);
    }
  }

  function raise(request) {
    try { if (request.popup) { request.popup.focus(); } } catch (e) { /* gone */ }
  }

  /* Another order is begun while a window is open: the window is needed, so the older payment ends here. */
  function replace(other) {
    drop(other);
    if (other.phone) { return; }
    ask('/sdk/outcome', { request: other.id, closing: 1 }, function (answer) {
      tell(other.callback, answer && answer.state === 'done' ? answer.response : refusal(other, GAVE_UP_CODE, GAVE_UP));
    });
  }

  function certification(params, callback) {
    if (!ready(params)) { return false; }
    var request = { merchant_uid: merchantUid(params) };
    whenChannelsKnown(function (list) {
      if (list && !list.length) { tell(callback, notReady(request)); return; }
      var message = '등록되지 않은 PG모듈 정보입니다. 아임포트 관리자페이지에서 PG모듈 정보를 설정하신 후 다시 시도해주세요.';
      tell(callback, { // `error_coe`: shops read the key that PortOne has always misspelt
        success: false, imp_success: false, imp_uid: null, merchant_uid: request.merchant_uid,
        error_coe: 'F1001', error_code: 'F1001', error_msg: message
      });
    });
  }

  function loadUI(type, params, callback) {
    var message = '해당 PG사(settle)는 UI 로딩을 지원하지 않습니다.';
    if (typeof callback === 'function') {
      tell(callback, { success: false, imp_success: false, imp_uid: null,
                       merchant_uid: params ? params.merchant_uid : undefined, error_code: 'F500', error_msg: message });
    } else if (window.console) { window.console.error(message); }
  }

  function unsupported(name) {
    return function () {
      if (window.console) { window.console.error('IMP.' + name + '은(는) 지원하지 않습니다.'); }
    };
  }

  var IMP = {
    slots: slots,
    init: init,
    agency: agency,
    request_pay: request_pay,
    certification: certification,
    loadUI: loadUI,
    updateLoadUIRequest: unsupported('updateLoadUIRequest'),
    loadModule: unsupported('loadModule'),
    naver_zzim: unsupported('naver_zzim'),
    communicate: function () { /* old apps call this when a card app returns to them */ },
    close: function () { if (pending && !pending.phone) { buyerClosed(pending); } else if (pending) { drop(pending); } },
    deinit: function () {
      if (pending) { closePopup(pending); drop(pending); }
      user = { code: null, tier: null };
      channels = { state: 'none', list: null, waiting: [] };
    }
  };
  window.IMP = IMP;
})(window, document);
