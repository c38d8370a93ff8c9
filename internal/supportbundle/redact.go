// Package supportbundle packs what somebody needs who is to help: what daemons
// say of themselves, what the doctor finds, settings of the kernel, logs; in one
// tar.gz, without secrets. It collects through functions that it is given, and
// everything goes through Redact, whoever collected it.
package supportbundle

import "regexp"

// Mask stands where a secret was.
const Mask = "<redacted>"

// rules take secrets out by what they are called, and by what they look like.
// What is called a secret is taken out whatever it looks like; what looks like
// one whatever it is called.
var rules = []struct {
	find    *regexp.Regexp
	replace string
	again   bool
}{
	// PEM: keys and certificates whole, also cut short at the end of a file.
	{regexp.MustCompile(`(?s)-----BEGIN [A-Z0-9 ]*PRIVATE KEY-----.*?(-----END [A-Z0-9 ]*PRIVATE KEY-----|\z)`), Mask, false},
	// name: value and name=value, in YAML, JSON, INI, flags and log lines, quoted or not.
	{regexp.MustCompile(`(?i)((?:pre[_-]?shared[_-]?key|psk|secret|passw(?:or)?d|private[_-]?key|access[_-]?key|token|seal[_-]?key|authorization|api[_-]?key|credential)[\w.-]*["']?\s*[:=]\s*)("(?:[^"\\\n]|\\.)*"|'[^'\n]*'|(?:Bearer\s+)?[^\s,;"'}\]]+)`), "${1}" + Mask, false},
	// Flags with a value behind a space.
	{regexp.MustCompile(`(?i)((?:^|\s)--?[\w-]*(?:psk|secret|password|token|access-key)[\w-]*\s+)([^\s-]\S*)`), "${1}" + Mask, false},
	// Bearer anything.
	{regexp.MustCompile(`(?i)(bearer\s+)[A-Za-z0-9._~+/=-]+`), "${1}" + Mask, false},
	// swanctl's secrets: 0s… and 0x….
	{regexp.MustCompile(`\b0s[A-Za-z0-9+/]{8,}={0,2}`), Mask, false},
	{regexp.MustCompile(`\b0x[0-9A-Fa-f]{24,}\b`), Mask, false},
	// Keys of WireGuard's and of our kind, 32 bytes in base64: public ones, too.
	{regexp.MustCompile(`(^|[^A-Za-z0-9+/=])[A-Za-z0-9+/]{43}=($|[^A-Za-z0-9+/=])`), "${1}" + Mask + "${2}", true},
	// ID.SECRET of access keys, and enrolment tokens: a dot between long words.
	{regexp.MustCompile(`\b[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{20,}\b`), Mask, false},
	// URLs with a user in them.
	{regexp.MustCompile(`(://)[^/\s:@]+:[^/\s@]+@`), "${1}" + Mask + "@", false},
}

// Redact takes secrets out of a text. What it is sure of it takes; of what it is
// not sure it takes too much rather than too little.
func Redact(text []byte) []byte {
	for _, r := range rules {
		text = r.find.ReplaceAll(text, []byte(r.replace))
		if r.again { // neighbours share a character
			text = r.find.ReplaceAll(text, []byte(r.replace))
		}
	}
	return text
}
