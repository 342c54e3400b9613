// What iamport.js finds on some pages and a browser's own types do not know.
import 'iamport-typings/src';

declare global {
  interface Window {
    ReactNativeWebView?: unknown;
    flutter_inappwebview?: unknown;
    origin: string;
  }
}
