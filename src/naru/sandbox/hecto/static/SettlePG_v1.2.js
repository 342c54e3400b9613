// SETTLE_PG.pay(order, callback): opens the sandbox's payment window from a merchant's page.
// Written for the sandbox; it takes the calls that pages written for Hecto's script make.
(function () {
  "use strict";

  var FIELDS = (
    "mchtId method trdDt trdTm mchtTrdNo mchtName mchtEName pmtPrdtNm trdAmt mchtCustNm custAcntSumry expireDt " +
    "notiUrl nextUrl cancUrl mchtParam cphoneNo email telecomCd prdtTerm mchtCustId taxTypeCd taxAmt vatAmt " +
    "taxFreeAmt svcAmt cardType chainUserId cardGb clipCustNm clipCustCi clipCustPhoneNo certNotiUrl skipCd " +
    "multiPay autoPayType linkMethod appScheme custIp pktHash corpPayCode corpPayType cashRcptUIYn instmtMon " +
    "bankCd csrcIssReqYn cashRcptPrposDivCd csrcRegNoDivCd csrcRegNo"
  ).split(" ");
  var REQUIRED = (
    "mchtId method mchtTrdNo trdDt trdTm trdAmt mchtName notiUrl nextUrl cancUrl pmtPrdtNm pktHash"
  ).split(" ");
  var PATHS = {
    "card": "/card/main.do",
    "card/direct": "/card/cardDirect.do",
    "card/abroad": "/card/abroad/main.do",
    "bank": "/bank/main.do",
    "vbank": "/vbank/main.do",
    "mobile": "/mobile/main.do"
  };
  var WIDTH = 430, HEIGHT = 660;

  // The environment defaults to where this script came from.
  var home = document.currentScript ? document.currentScript.src.split("/resources/")[0] : "";

  function size(value, fallback) {
    var number = parseInt(value, 10);
    return number > 0 ? number : fallback;
  }

  function build(order, path, target, type, height) {
    var form = document.createElement("form");
    form.method = "post";
    form.acceptCharset = "UTF-8";
    form.action = (order.env || home) + path;
    form.target = target;
    form.style.display = "none";
    function put(name, value) {
      var input = document.createElement("input");
      input.type = "hidden";
      input.name = name;
      input.value = value === undefined || value === null ? "" : String(value);
      form.appendChild(input);
    }
    FIELDS.forEach(function (name) { put(name, order[name]); });
    put("type", type);
    if (type === "iframe") put("height", height);
    document.body.appendChild(form);
    return form;
  }

  // Page at nextUrl, in the frame: parent.postMessage(JSON.stringify({action: "HECTO_IFRAME_CLOSE", params: {…}}), "*")
  function openFrame(order, path, width, height, callback) {
    var shade = document.createElement("div");
    shade.setAttribute("data-settle-pg", "");
    shade.style.cssText = "position:fixed;inset:0;z-index:2147483000;background:rgba(0,0,0,.5);display:grid;place-items:center";
    var frame = document.createElement("iframe");
    frame.name = "SETTLE_PG_IFRAME";
    frame.title = "결제창";
    frame.style.cssText = "border:0;border-radius:12px;background:#fff;max-width:100vw;max-height:100vh;width:" +
      width + "px;height:" + height + "px";
    shade.appendChild(frame);
    document.body.appendChild(shade);

    function hear(event) {
      var said;
      if (event.source !== frame.contentWindow) return;
      try { said = typeof event.data === "string" ? JSON.parse(event.data) : event.data; } catch (e) { return; }
      if (!said || typeof said !== "object") return;
      var params = said.params || {};
      if (said.action === "HECTO_IFRAME_CLOSE") {
        window.removeEventListener("message", hear);
        shade.remove();
        if (typeof callback === "function") callback(params);
      } else if (said.action === "HECTO_IFRAME_RESIZE") {
        frame.style.width = size(params.width, width) + "px";
      } else if (said.action === "HECTO_IFRAME_RETURNSIZE") {
        frame.style.width = width + "px";
      }
    }
    window.addEventListener("message", hear);
    build(order, path, frame.name, "iframe", height).submit();
  }

  function pay(order, callback) {
    var method = String(order.method || "");
    var path = PATHS[order.methodSub ? method + "/" + order.methodSub : method] || PATHS[method];
    if (!path) {
      alert("결제수단(method)을 확인해 주세요: " + method);
      return false;
    }
    for (var i = 0; i < REQUIRED.length; i++) {
      if (!order[REQUIRED[i]]) {
        alert("필수 항목이 없습니다: " + REQUIRED[i]);
        return false;
      }
    }
    var ui = order.ui || {};
    var type = ui.type || "popup";
    var width = size(ui.width, WIDTH), height = size(ui.height, HEIGHT);
    if (type === "iframe") {
      openFrame(order, path, width, height, callback);
      return true;
    }
    var target = "_self";
    if (type === "blank") target = "_blank";
    if (type === "popup") {
      target = "SETTLE_PG_POPUP";
      var left = Math.max(0, (screen.width - width) / 2), top = Math.max(0, (screen.height - height) / 2);
      var popup = window.open("", target, "width=" + width + ",height=" + height + ",left=" + left + ",top=" + top +
        ",scrollbars=yes,resizable=yes");
      if (!popup) {
        alert("팝업이 차단되었습니다. 팝업을 허용한 뒤 다시 시도해 주세요.");
        return false;
      }
    }
    var form = build(order, path, target, type, height);
    form.submit();
    form.remove();
    return true;
  }

  window.SETTLE_PG = { pay: pay };
})();
