//! What holds for any session.
