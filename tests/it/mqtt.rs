//! MQTT, traced while it happens, checked against what the clients themselves wrote down.

mod basics;
pub mod check;
mod delivery;
mod session;
pub mod site;
mod viewpoint;
