/*! iamport.esm.js for Naru: the same IMP for `import`. Apache-2.0 */
import './iamport.js';

const IMP = window.IMP;

// A module has no <script> of its own to read the gateway's address from, but it knows where it came from.
if (!IMP.slots.CORE_SERVER) {
  IMP.slots.CORE_SERVER = IMP.slots.CHECKOUT_SERVER = new URL('..', import.meta.url).href.replace(/\/+$/, '');
}

export default IMP;
export const {
  slots, init, agency, request_pay, certification, loadUI, updateLoadUIRequest, loadModule, naver_zzim,
  communicate, close, deinit,
} = IMP;
