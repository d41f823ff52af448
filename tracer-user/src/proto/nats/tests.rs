//! Conversations of clients and servers, and the ops that come of them.

mod recorded;
