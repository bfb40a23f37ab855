//! What `worker` 0.8 lacks of the platform's container, by hand. It decides nothing.

use js_sys::{Function, Object, Promise, Reflect};
use wasm_bindgen::{JsCast as _, JsValue};
use worker::Container;

use super::http::within;

/// Tells the platform not to end the container with this object, which sleeps between two requests.
pub(super) async fn keep(
    container: &Container,
    inactive_ms: f64,
    ms: u64,
) -> std::result::Result<(), String> {
    let promise = call(container, "setInactivityTimeout", &JsValue::from_f64(inactive_ms))?;
    let promise: Promise = promise.dyn_into().map_err(|err| format!("{err:?}"))?;
    let settled = within(ms, wasm_bindgen_futures::JsFuture::from(promise)).await;
    settled.map_or(Ok(()), |done| done.map(drop).map_err(|err| format!("{err:?}")))
}

/// Calls one of its methods.
pub(super) fn call(
    container: &Container,
    method: &str,
    argument: &JsValue,
) -> std::result::Result<JsValue, String> {
    let raw: &JsValue = container.as_ref();
    let function: Function = Reflect::get(raw, &method.into())
        .and_then(wasm_bindgen::JsCast::dyn_into)
        .map_err(|_| format!("the platform's container has no {method}"))?;
    function.call1(raw, argument).map_err(|err| format!("{method}: {err:?}"))
}

/// Sets a field of an object.
pub(super) fn set(object: &Object, name: &str, value: &JsValue) -> std::result::Result<(), String> {
    Reflect::set(object, &name.into(), value).map(drop).map_err(|err| format!("{err:?}"))
}
