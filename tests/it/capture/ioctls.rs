//! ioctls
