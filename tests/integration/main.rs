//! One integration-test binary; one module a topic.

mod scenario;
mod tidy;
mod timeline;
