/* 결제하기: the same few lines that any shop writes against IMP.request_pay. */
(function () {
  'use strict';

  var order = JSON.parse(document.getElementById('order').textContent);
  var form = document.getElementById('checkout');
  var message = document.getElementById('message');
  var here = '/orders/' + encodeURIComponent(order.merchant_uid);

  function value(name) { return form.elements[name].value.trim(); }

  function say(text) {
    message.textContent = text;
    message.hidden = !text;
  }

  function parameters() {
    var p = {
      pay_method: form.elements.pay_method.value,
      merchant_uid: order.merchant_uid,
      name: order.name,
      amount: order.amount,
      buyer_name: value('buyer_name'),
      buyer_tel: value('buyer_tel'),
      buyer_email: value('buyer_email'),
      buyer_addr: value('buyer_addr'),
      company: order.company,
      company_en: order.company_en,
      digital: false,
      custom_data: { from: 'demo-shop' }
    };
    if (value('channelKey')) { p.channelKey = value('channelKey'); }
    if (value('pg')) { p.pg = value('pg'); }
    if (value('card_quota')) {
      p.display = { card_quota: value('card_quota').split(',').map(Number).filter(function (n) { return n > 0; }) };
    }
    if (value('tax_free')) { p.tax_free = Number(value('tax_free')); }
    if (value('language')) { p.language = value('language'); }
    if (value('app_scheme')) { p.app_scheme = value('app_scheme'); }
    if (form.elements.redirect.checked) { p.m_redirect_url = location.origin + here + '/return'; }
    if (form.elements.notice.checked) { p.notice_url = location.origin + '/webhook'; }
    return p;
  }

  /* The callback proves nothing. It goes to the shop's server, which asks the gateway itself. */
  function done(response) {
    fetch(here + '/callback', {
      method: 'POST',
      headers: { 'Content-Type': 'application/json' },
      body: JSON.stringify(response)
    }).then(function (r) { return r.json(); }).then(function (verdict) {
      if (verdict.state === 'failed' || verdict.state === 'open') {
        say(response.error_msg || '결제하지 못했습니다.');
      } else {
        location.href = here;
      }
    }, function () { location.href = here; });
  }

  if (!window.IMP) {
    say('iamport.js를 불러오지 못했습니다. 결제 서버가 켜져 있는지 확인해 주세요.');
    return;
  }
  IMP.init(order.imp_code);
  form.addEventListener('submit', function (e) {
    e.preventDefault();
    say('');
    IMP.request_pay(parameters(), done);
  });
})();
