//! Scenarios and the trees that must come of them; properties that hold for all.

mod amqp;
mod broker;
mod content;
mod feeds;
mod laws;
mod logs;
mod requests;
mod trail;
mod transactions;
mod version5;
mod world;
