package snapshot

import (
	"fmt"
	"net/netip"
	"strings"
	"unicode"
	"unicode/utf8"
)

// name judges a name: as in DNS labels (RFC 1123 section 2.1), lower case.
func (j *judge) name(path, name string) {
	const allowed = "1 to 63 of a–z, 0–9 and -, with a letter or digit at both ends"
	if name == "" {
		j.missing(path, allowed, "give it a name")
		return
	}
	if !isName(name) {
		fix, args := "", []any(nil)
		if proposal := asName(name); proposal != "" {
			fix, args = "for example %s", []any{proposal}
		}
		j.refuse(path, clip(name), allowed, fix, args...)
	}
}

func isName(name string) bool {
	if len(name) == 0 || len(name) > maxName || name[0] == '-' || name[len(name)-1] == '-' {
		return false
	}
	for _, c := range []byte(name) {
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' {
			return false
		}
	}
	return true
}

// asName makes a valid name out of an invalid one, or nothing.
func asName(name string) string {
	mapped := strings.Map(func(r rune) rune {
		switch r = unicode.ToLower(r); {
		case r >= 'a' && r <= 'z', r >= '0' && r <= '9':
			return r
		case r == '_', r == '.', r == ' ', r == '-', r == '/':
			return '-'
		}
		return -1
	}, name)
	if len(mapped) > maxName {
		mapped = mapped[:maxName]
	}
	return strings.Trim(mapped, "-")
}

// text judges what is only shown to people.
func (j *judge) text(path, text string) {
	if !utf8.ValidString(text) || utf8.RuneCountInString(text) > maxText || strings.ContainsFunc(text, unicode.IsControl) {
		j.refuse(path, clip(text), fmt.Sprintf("at most %d printable characters", maxText), "shorten it, and keep it on one line")
	}
}

// once judges that a name stands once in a list. where is a format for the path of the other.
func (j *judge) once(path, name string, seen map[string]int, i int, where string) {
	if name == "" {
		return // that is said already
	}
	if first, twice := seen[name]; twice {
		j.refuse(path, clip(name), "each only once", "it is taken by "+where+"; choose another", first)
		return
	}
	seen[name] = i
}

// between judges a number against its range.
func (j *judge) between(path string, n, low, high int, unit string) {
	if n < low || n > high {
		j.refuse(path, n, fmt.Sprintf("%d to %d %s", low, high, unit), "")
	}
}

// choice judges one of a few words.
func (j *judge) choice(path, word string, words ...string) {
	for _, w := range words {
		if word == w {
			return
		}
	}
	j.refuse(path, clip(word), "one of "+strings.Join(words, ", "), "")
}

// reference says that a name leads nowhere, and where it could lead.
func (j *judge) reference(path, name, allowed string, known []string) {
	const most = 12
	switch {
	case len(known) == 0:
		allowed += "; there is none yet"
	case len(known) <= most:
		allowed += ": " + strings.Join(known, ", ")
	default:
		allowed += fmt.Sprintf(": %s and %d more", strings.Join(known[:most], ", "), len(known)-most)
	}
	if name == "" {
		j.missing(path, allowed, "")
		return
	}
	j.refuse(path, clip(name), allowed, "add it there, or correct the name here")
}

// address judges an address that a machine can have and be sent to.
func (j *judge) address(path string, a netip.Addr, allowUnspecified bool) bool {
	const allowed = "an IP address of one machine"
	switch {
	case !a.IsValid():
		j.missing(path, allowed, "")
	case a.Is4In6():
		j.refuse(path, a, "IPv4 addresses in their own form", "write %v", a.Unmap())
	case a.Zone() != "":
		j.refuse(path, a, "an address without a zone", "use one that is valid beyond one link")
	case a.IsUnspecified() && !allowUnspecified:
		j.refuse(path, a, "one particular address", "give the address itself; packets must leave from the one they came to")
	case a.IsMulticast() || a == broadcast:
		j.refuse(path, a, allowed, "this one belongs to many")
	default:
		return true
	}
	return false
}

// socketAddress judges an address with a port.
func (j *judge) socketAddress(path string, a netip.AddrPort, allowUnspecified bool) bool {
	if !a.IsValid() {
		j.missing(path, "an IP address and port, such as 203.0.113.10:4600", "")
		return false
	}
	ok := j.address(path, a.Addr(), allowUnspecified)
	if a.Port() == 0 {
		j.refuse(path, a, "a port from 1 to 65535", "4600 is usual")
		return false
	}
	return ok
}

var broadcast = netip.AddrFrom4([4]byte{255, 255, 255, 255})

// family names the IP version of an address.
func family(a netip.Addr) string {
	if a.Unmap().Is4() {
		return "IPv4"
	}
	return "IPv6"
}

// clip keeps a wrong text short enough for a message.
func clip(s string) string {
	const most = 80
	if utf8.RuneCountInString(s) > most {
		return string([]rune(s)[:most]) + "…"
	}
	return s
}
