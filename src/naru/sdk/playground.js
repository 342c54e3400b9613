/* The playground: builds the parameters, shows the code, pays, and asks what came of it. */
(function () {
  'use strict';

  var POLL_MS = 1000;
  var POLLS = 90;
  var KEPT = 'naru.playground';
  var words = JSON.parse(document.getElementById('words').textContent);
  var form = document.getElementById('form');
  var inputs = Array.prototype.slice.call(form.querySelectorAll('[data-path]'));
  var impCode = document.body.getAttribute('data-imp-code');
  var watched = 0;               // which of the orders looked at is the newest

  function at(id) { return document.getElementById(id); }
  function method() { return form.elements.pay_method.value; }
  function input(path) { return at('f-' + path); }
  function has(list, name) { return (' ' + list + ' ').indexOf(' ' + name + ' ') >= 0; }

  function freshNumber() { return 'play-' + Date.now(); }

  function put(target, path, value) {
    var steps = path.split('.'), i;
    for (i = 0; i < steps.length - 1; i++) { target = target[steps[i]] = target[steps[i]] || {}; }
    target[steps[i]] = value;
  }

  function read(field) {
    var text = field.value.trim(), path = field.getAttribute('data-path'), months;
    switch (field.getAttribute('data-kind')) {
      // What is no number stays a text: the gateway says what it thinks of that.
      case 'number': return /^-?\d+(\.\d+)?$/.test(text) ? Number(text) : text;
      case 'flag': return text === 'true';
      case 'list':
        if (text === '0') { return []; }
        months = text.split(',').map(Number);
        if (months.some(function (n) { return !(n > 0); })) { throw new Error(words.bad_list.replace('{}', path)); }
        return months;
      case 'json':
        try { return JSON.parse(text); } catch (e) { throw new Error(words.bad_json.replace('{}', path)); }
      default: return text;
    }
  }

  /* The parameters as a shop would write them: what is empty or of another pay method is left out. */
  function parameters() {
    var made = {};
    inputs.forEach(function (field) {
      var path = field.getAttribute('data-path');
      if (!has(field.getAttribute('data-methods'), method()) || !field.value.trim()) { return; }
      if (path === 'merchant_uid') { made.pay_method = method(); }
      put(made, path, read(field));
    });
    if (!made.pay_method) { made.pay_method = method(); }
    if (made.m_redirect_url && made.m_redirect_url.charAt(0) === '/') {
      made.m_redirect_url = location.origin + made.m_redirect_url;
    }
    return made;
  }

  function literal(value, indent) {
    return JSON.stringify(value, null, 2).replace(/^(\s*)"([A-Za-z_]\w*)":/gm, '$1$2:').replace(/\n/g, '\n' + indent);
  }

  function code(params) {
    return '<script src="' + document.body.getAttribute('data-sdk') + '"></' + 'script>\n<script>\n' +
      '  IMP.init(' + JSON.stringify(impCode) + ');\n\n' +
      '  IMP.request_pay(' + literal(params, '  ') + ', function (rsp) {\n' +
      '    if (rsp.success) {\n' +
      '      // rsp.imp_uid, rsp.merchant_uid → server: GET /payments/{imp_uid}\n' +
      '    } else {\n' +
      '      alert(rsp.error_msg);\n' +
      '    }\n' +
      '  });\n</' + 'script>\n';
  }

  function complain(text) {
    at('problem').textContent = text || '';
    at('problem').hidden = !text;
    at('pay').disabled = Boolean(text);
  }

  function refresh() {
    inputs.forEach(function (field) {
      var row = field.closest('.row'), mark = row.querySelector('[data-required]');
      row.hidden = !has(field.getAttribute('data-methods'), method());
      if (mark) { mark.hidden = !has(mark.getAttribute('data-required'), method()); }
    });
    Array.prototype.forEach.call(form.querySelectorAll('fieldset[data-group]'), function (group) {
      group.hidden = !group.querySelector('.row:not([hidden])');
    });
    try {
      at('code').textContent = code(parameters());
      complain('');
    } catch (e) { complain(e.message); }
    keep();
  }

  function keep() {
    var kept = { pay_method: method() };
    inputs.forEach(function (field) { kept[field.id] = field.value; });
    try { sessionStorage.setItem(KEPT, JSON.stringify(kept)); } catch (e) { /* a private window */ }
  }

  function restore() {
    var kept = null;
    try { kept = JSON.parse(sessionStorage.getItem(KEPT) || 'null'); } catch (e) { /* a private window */ }
    if (!kept) { return; }
    form.elements.pay_method.value = kept.pay_method;
    inputs.forEach(function (field) { if (kept[field.id] !== undefined) { field.value = kept[field.id]; } });
  }

  // ------------------------------------------------------------ what came of it

  function show(id, value) { at(id).textContent = JSON.stringify(value, null, 2); }

  function element(tag, text, name) {
    var made = document.createElement(tag);
    made.textContent = text;
    if (name) { made.className = name; }
    return made;
  }

  function showWebhooks(hooks) {
    var place = at('webhooks');
    place.textContent = '';
    if (!hooks.length) { place.appendChild(element('p', words.waiting, 'soft')); }
    hooks.forEach(function (hook) {
      place.appendChild(element('p', hook.url ? 'POST ' + hook.url : words.silent, 'soft'));
      place.appendChild(element('pre', JSON.stringify(hook.body, null, 2)));
      if (hook.answer) { place.appendChild(element('p', words.tried + ': ' + hook.answer, hook.state === 'done' ? 'good' : 'bad')); }
    });
  }

  /* Looks again and again at one order: a later call takes over from an earlier one, answers under way included. */
  function look(merchantUid) {
    watched += 1;
    lookOnce(merchantUid, watched, POLLS);
  }

  function lookOnce(merchantUid, number, left) {
    if (number !== watched) { return; }
    fetch('/playground/seen?merchant_uid=' + encodeURIComponent(merchantUid), { cache: 'no-store' })
      .then(function (r) { return r.json(); })
      .then(function (answer) {
        var found = answer.response || {}, payment = found.payment;
        if (payment && number === watched) {
          show('payment', payment);
          showWebhooks(found.webhooks);
          at('links').hidden = false;
          at('in-console').href = '/console/' + impCode + '/payments/' + payment.imp_uid;
          at('deposit').hidden = !(payment.status === 'ready' && payment.vbank_num);
          at('deposit').setAttribute('data-order', merchantUid);
        }
      })
      .catch(function () { /* the next look will tell */ })
      .then(function () {
        if (left > 0) { setTimeout(function () { lookOnce(merchantUid, number, left - 1); }, POLL_MS); }
      });
  }

  function told(title, value, merchantUid) {
    at('told-title').textContent = title;
    show('told', value);
    at('state').textContent = value.error_msg || value.status || '';
    if (merchantUid) { look(merchantUid); }
    at('result').scrollIntoView({ block: 'start' });
  }

  function clear() {
    ['told', 'payment'].forEach(function (id) { at(id).textContent = words.nothing; });
    at('webhooks').textContent = '';
    at('webhooks').appendChild(element('p', words.nothing, 'soft'));
    at('links').hidden = true;
    at('state').textContent = words.opened;
  }

  function pay() {
    var params;
    try { params = parameters(); } catch (e) { complain(e.message); return; }
    clear();
    keep();
    window.IMP.init(impCode);
    window.IMP.request_pay(params, function (rsp) {
      told(words.callback, rsp, rsp.merchant_uid);
      // A number that was used is used: the next try gets its own.
      if (input('merchant_uid').value === rsp.merchant_uid) { input('merchant_uid').value = freshNumber(); refresh(); }
    });
  }

  /* A phone leaves this page and comes back with the result in the address. */
  function cameBack() {
    var query = new URLSearchParams(location.search), given = {};
    if (!query.get('merchant_uid') && !query.get('imp_uid')) { return; }
    query.forEach(function (value, name) { if (name !== 'lang') { given[name] = value; } });
    told(words.redirect, given, query.get('merchant_uid'));
    if (input('merchant_uid').value === query.get('merchant_uid')) { input('merchant_uid').value = freshNumber(); }
  }

  at('new').addEventListener('click', function () { input('merchant_uid').value = freshNumber(); refresh(); });
  at('pay').addEventListener('click', pay);
  at('reset').addEventListener('click', function () {
    form.reset();
    input('merchant_uid').value = freshNumber();
    refresh();
  });
  at('copy').addEventListener('click', function () {
    var button = at('copy');
    navigator.clipboard.writeText(at('code').textContent).then(function () {
      button.textContent = words.copied;
      setTimeout(function () { button.textContent = words.copy; }, 1500);
    }, function () { window.getSelection().selectAllChildren(at('code')); });
  });
  at('deposit').addEventListener('click', function () {
    fetch('/playground/deposit', {
      method: 'POST', headers: { 'Content-Type': 'application/json' },
      body: JSON.stringify({ merchant_uid: at('deposit').getAttribute('data-order') })
    }).then(function (r) { return r.json(); }).then(function (answer) {
      at('state').textContent = answer.code === 0 ? words.deposited : answer.message;
      look(at('deposit').getAttribute('data-order'));
    });
  });
  form.addEventListener('input', refresh);
  form.addEventListener('change', refresh);
  form.addEventListener('submit', function (e) { e.preventDefault(); });

  restore();
  if (!input('merchant_uid').value) { input('merchant_uid').value = freshNumber(); }
  cameBack();
  refresh();
}());
