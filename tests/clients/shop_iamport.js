// npm `iamport`: the whole life of a subscription, with the client as it is published.
const Iamport = require('iamport');
const [base, key, secret, expiry] = process.argv.slice(2);
Iamport.DEFAULT_HOST = base;
const iamport = new Iamport({ impKey: key, impSecret: secret });
const card = { card_number: '4111-1111-1111-1111', expiry, birth: '820213', pwd_2digit: '00' };
const said = (work) => work.then(() => 'no error', (e) => `${e.code} ${e.message}`);

(async () => {
  const out = {};
  out.created = await iamport.subscribe_customer.create({ customer_uid: 'node-kim', ...card });
  out.again = await iamport.subscribe.again({ customer_uid: 'node-kim', merchant_uid: 'node-1', amount: 9900 });
  out.onetime = await iamport.subscribe.onetime({ merchant_uid: 'node-2', amount: 3000, ...card });
  const at = Math.floor(Date.now() / 1000) + 3600;
  out.scheduled = await iamport.subscribe.schedule({
    customer_uid: 'node-kim',
    schedules: [{ merchant_uid: 'node-3', schedule_at: at, amount: 9900 }],
  });
  out.revoked = await iamport.subscribe.unschedule({ customer_uid: 'node-kim', merchant_uid: 'node-3' });
  out.cancelled = await iamport.payment.cancel({ imp_uid: out.again.imp_uid, amount: 900, reason: '변심' });
  out.deleted = await iamport.subscribe_customer.delete({ customer_uid: 'node-kim' });
  out.unknown = await said(iamport.subscribe_customer.get({ customer_uid: 'node-kim' }));
  out.nobody = await said(iamport.subscribe.again({ customer_uid: 'node-kim', merchant_uid: 'node-4', amount: 1 }));
  out.published = await said(new Iamport().payment.getByImpUid({ imp_uid: 'imp_0' }));
  process.stdout.write(JSON.stringify(out));
})().catch((e) => { console.error(e); process.exit(1); });
