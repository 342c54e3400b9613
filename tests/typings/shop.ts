// A shop written in TypeScript against the published types.
import type Iamport from 'iamport-typings/src';
import type { RequestPayParams, RequestPayResponse } from 'iamport-typings/src';

const { IMP } = window;
const imp: Iamport = IMP!;

imp.init('imp00000000');

const params: RequestPayParams = {
  pg: 'settle.portone1',
  pay_method: 'card',
  merchant_uid: 'order_no_0001',
  name: '주문명:결제테스트',
  amount: 1004,
  buyer_email: 'test@portone.io',
  buyer_name: '구매자이름',
  buyer_tel: '010-1234-5678',
  buyer_addr: '서울특별시 강남구 삼성동',
  buyer_postcode: '123-456',
  m_redirect_url: 'https://shop.example/done',
  notice_url: ['https://shop.example/hook'],
  app_scheme: 'shop',
  display: { card_quota: [6] },
  custom_data: { cart: [1, 2] },
};

imp.request_pay(params, (response: RequestPayResponse) => {
  const { success, imp_uid, merchant_uid, error_msg } = response;
  console.log(success ? imp_uid : error_msg, merchant_uid);
});
