package main

import (
	"io"
	"strings"
	"testing"
)

const (
	bad  = `{"sent": 100, "received": 50, "loss": 0.5, "rtt_ms": {"min": 80, "avg": 120, "p50": 110, "p95": 190, "p99": 200, "max": 201}}`
	made = `{"commands": [{"command": "causeway region create x", "error": ""}], "egress_ip_before": "192.0.2.1", "egress_ip_after": "192.0.2.1", "egress_ip_at_end": "192.0.2.1"}`
	good = `{"sent": 100, "received": 100, "loss": 0, "rtt_ms": {"min": 50, "avg": 50.5, "p50": 50.2, "p95": 51, "p99": 52, "max": 52}}`
)

func TestCheck(t *testing.T) {
	for _, c := range []struct{ name, report, want string }{
		{"a report as it should be", `{"direct": ` + bad + `, "accelerated": ` + good + `, "valid": true}`, ""},
		{"figures of a busy machine are not judged", `{"direct": ` + good + `, "accelerated": ` + bad + `, "valid": false}`, ""},
		{"an accelerator made by commands", `{"control": ` + made + `, "direct": ` + bad + `, "accelerated": ` + good + `, "valid": true}`, ""},
		{"a command that failed", `{"control": ` + strings.Replace(made, `"error": ""`, `"error": "no"`, 1) + `, "direct": ` + bad + `, "accelerated": ` + good + `, "valid": false}`, "failed: no"},
		{"an egress IP that changed", `{"control": ` + strings.Replace(made, `after": "192.0.2.1"`, `after": "192.0.2.2"`, 1) + `, "direct": ` + bad + `, "accelerated": ` + good + `, "valid": true}`, "must be given out and stay"},
		{"no JSON", `hello`, "not JSON"},
		{"no accelerated way", `{"direct": ` + bad + `, "valid": true}`, "lacks"},
		{"an Internet that is not bad", `{"direct": ` + good + `, "accelerated": ` + good + `, "valid": true}`, "was not there"},
		{"no acceleration", `{"direct": ` + bad + `, "accelerated": ` + bad + `, "valid": true}`, "no acceleration"},
		{"more received than sent", `{"direct": ` + strings.Replace(bad, `"received": 50`, `"received": 101`, 1) + `, "accelerated": ` + good + `, "valid": true}`, "cannot be"},
		{"a loss that was made up", `{"direct": ` + strings.Replace(bad, `"loss": 0.5`, `"loss": 0.4`, 1) + `, "accelerated": ` + good + `, "valid": true}`, "does not fit"},
		{"percentiles out of order", `{"direct": ` + strings.Replace(bad, `"p95": 190`, `"p95": 19`, 1) + `, "accelerated": ` + good + `, "valid": true}`, "out of order"},
		{"a mean outside its range", `{"direct": ` + strings.Replace(bad, `"avg": 120`, `"avg": 12`, 1) + `, "accelerated": ` + good + `, "valid": true}`, "not between"},
	} {
		t.Run(c.name, func(t *testing.T) {
			err := check(strings.NewReader(c.report), io.Discard)
			if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
}
