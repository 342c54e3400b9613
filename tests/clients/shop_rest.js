// npm `iamport-rest-client-nodejs`: the whole life of a subscription, with the client as it is published.
const { Iamport, Request } = require('iamport-rest-client-nodejs');
const [baseUrl, apiKey, apiSecret, expiry] = process.argv.slice(2);
const iamport = new Iamport({ apiKey, apiSecret, baseUrl });
const { Subscribe, Customers, Payments } = Request;
const card = { card_number: '4111-1111-1111-1111', expiry, birth: '820213', pwd_2digit: '00' };
const ask = async (request) => (await request.request(iamport)).data.response;
const said = (request) => request.request(iamport).then(() => 'no error', (e) => e.response.data.message);

(async () => {
  const out = {};
  const at = Math.floor(Date.now() / 1000) + 3600;
  const all = { customer_uid: 'rest-kim', from: at - 10, to: at + 10, 'schedule-status': 'scheduled' };
  out.created = await ask(Customers.postBillingKey({ customer_uid: 'rest-kim', customer_name: '김나루', ...card }));
  out.got = await ask(Customers.getBillingKeys({ customer_uid: ['rest-kim'] }));
  out.onetime = await ask(Subscribe.onetime({ customer_uid: 'rest-kim', merchant_uid: 'rest-1', amount: 3000, name: '상품', ...card }));
  out.again = await ask(Subscribe.again({ customer_uid: 'rest-kim', merchant_uid: 'rest-2', amount: 9900, name: '구독' }));
  out.scheduled = await ask(Subscribe.schedule({
    customer_uid: 'rest-kim',
    schedules: [{ merchant_uid: 'rest-3', schedule_at: at, amount: 9900, name: '구독' }],
  }));
  out.one = await ask(Subscribe.getScheduled({ merchant_uid: 'rest-3' }));
  out.listed = await ask(Subscribe.getScheduleds(all));
  out.ofCustomer = await ask(Customers.getScheduleds(all));
  out.revoked = await ask(Subscribe.unschedule({ customer_uid: 'rest-kim' }));
  out.payments = await ask(Customers.getPayments({ customer_uid: 'rest-kim' }));
  out.cancelled = await ask(Payments.cancel({ imp_uid: out.again.imp_uid, checksum: 9900 }));
  out.deleted = await ask(Customers.deleteBillingKey({ customer_uid: 'rest-kim' }));
  out.unknown = await said(Customers.getBillingKey({ customer_uid: 'rest-kim' }));
  process.stdout.write(JSON.stringify(out));
})().catch((e) => { console.error(e.response ? e.response.data : e); process.exit(1); });
