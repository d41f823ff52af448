//! MQTT, traced while it happens, checked against what the clients themselves wrote down.

mod basics;
pub mod check;
pub mod site;
