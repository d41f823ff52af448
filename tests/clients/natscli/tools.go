//go:build tools

// Package tools names NATS' command-line tool, so that go.mod and go.sum say which one the tests use.
package tools

import _ "github.com/nats-io/natscli/nats"
