package device

import (
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"encoding/xml"
	"fmt"
	"net/netip"
	"regexp"
	"strings"
	"text/template"

	"causeway/internal/vpn"
)

// words are the functions that templates call.
func (w *writer) words(o Options) template.FuncMap {
	pick := func(kind string, m map[string]string) func(string) (string, error) {
		return func(name string) (string, error) {
			if s, ok := m[name]; ok {
				return s, nil
			}
			return "", fmt.Errorf("no word for %s %q", kind, name)
		}
	}
	prf := w.can.prf
	if prf == nil {
		prf = w.can.ikeHash
	}
	quote := w.quote
	if quote == nil {
		quote = func(s string) string { return s }
	}
	return template.FuncMap{
		"ikecipher": pick("IKE cipher", w.can.ikeCipher), "espcipher": pick("ESP cipher", w.can.espCipher),
		"ikehash": pick("IKE hash", w.can.ikeHash), "esphash": pick("ESP hash", w.can.espHash), "prf": pick("PRF", prf),
		"group": func(n int) (string, error) {
			if s, ok := w.can.groups[n]; ok {
				return s, nil
			}
			return "", fmt.Errorf("no word for group %d", n)
		},
		"q":       quote,
		"key":     func(t tunnel) string { return keyWord(t, o, quote) },
		"rawkey":  func(t tunnel) string { return keyWord(t, o, func(s string) string { return s }) },
		"aead":    func(p vpn.Proposal) bool { c, _ := vpn.CipherOf(p.Encryption); return c.AEAD },
		"comment": comment,
		"addr":    func(p netip.Prefix) string { return p.Addr().String() },
		"mask":    mask, "wild": wildcard, "nets": nets,
		"idkind": idKind,
		"v4":     func(p netip.Prefix) bool { return p.Addr().Is4() },
		"add":    func(a, b int) int { return a + b }, "sub": func(a, b int) int { return a - b }, "mul": func(a, b int) int { return a * b }, "div": func(a, b int) int { return a / b },
		"ident":  func(s string) string { return ident(s, w.can.name) },
		"string": func(v any) string { return fmt.Sprint(v) },
		"join":   strings.Join,
		"sh":     shell,
		"xml":    xmlText,
		"json":   func(v any) (string, error) { b, err := json.Marshal(v); return string(b), err },
		"ss":     strongswanProposals, "lsw": libreswanProposals,
		"awsOptions": func(v view) (string, error) { return awsOptions(v, o) },
		"ikeConfig":  func(t tunnel) (string, error) { return alibabaIKE(t, o) },
		"ipsecConfig": func(t tunnel) (string, error) {
			return alibabaIPsec(t)
		},
		"swanPSK": func(t tunnel) string { return swanSecret(t, o) }, "lswPSK": func(t tunnel) string { return libreswanSecret(t, o) },
		"lswID": libreswanID, "keyKind": keyKind,
		"sig": func(t tunnel) string { return strings.TrimSuffix(keyKind(t), "sig") },
	}
}

const keyPlaceholder = "<PRE-SHARED-KEY>"

func keyWord(t tunnel, o Options, quote func(string) string) string {
	if o.Hide || t.Auth.PSK == "" {
		return keyPlaceholder
	}
	return quote(t.Auth.PSK.Reveal())
}

// comment makes any text fit for the end of one comment line.
func comment(v any) string {
	return strings.Map(func(r rune) rune {
		if r < 0x20 || r > 0x7e || strings.ContainsRune("\"'`\\<>{}$?!#;", r) {
			return '_'
		}
		return r
	}, fmt.Sprint(v))
}

func mask(p netip.Prefix) string {
	var m [4]byte
	for i := range p.Bits() {
		m[i/8] |= 0x80 >> (i % 8)
	}
	return netip.AddrFrom4(m).String()
}

func wildcard(p netip.Prefix) string {
	var m [4]byte
	for i := p.Bits(); i < 32; i++ {
		m[i/8] |= 0x80 >> (i % 8)
	}
	return netip.AddrFrom4(m).String()
}

func nets(p []netip.Prefix, between string) string {
	var s []string
	for _, n := range p {
		s = append(s, n.String())
	}
	return strings.Join(s, between)
}

// idKind is address, domain, mail or name.
func idKind(id string) string {
	switch vpn.IDKindOf(id) {
	case vpn.IDAddress:
		return "address"
	case vpn.IDMail:
		return "mail"
	case vpn.IDName:
		return "name"
	}
	return "domain"
}

// double quotes s for devices that know "…" with backslashes before quotes and backslashes.
func double(s string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(s) + `"`
}

// plainDouble and plainSingle put quotes around s, which has none inside: the rule for keys sees to it.
func plainDouble(s string) string { return `"` + s + `"` }
func plainSingle(s string) string { return `'` + s + `'` }

// routeros quotes s for RouterOS scripts.
func routeros(s string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`, `$`, `\$`, `?`, `\?`).Replace(s) + `"`
}

// shell quotes s for POSIX shells: nothing is special between single quotes.
func shell(s string) string { return `'` + strings.ReplaceAll(s, `'`, `'\''`) + `'` }

func xmlText(v any) (string, error) {
	var b strings.Builder
	err := xml.EscapeText(&b, []byte(fmt.Sprint(v)))
	return b.String(), err
}

var simpleKey = regexp.MustCompile(`^[A-Za-z1-9._-][A-Za-z0-9._-]*$`)

// swanSecret writes a key for swanctl: as it is where nothing in it could mean
// anything, otherwise in base64 (0s…).
func swanSecret(t tunnel, o Options) string {
	return keyWord(t, o, func(s string) string {
		if simpleKey.MatchString(s) {
			return `"` + s + `"`
		}
		return "0s" + base64.StdEncoding.EncodeToString([]byte(s))
	})
}

// libreswanSecret is the same for ipsec.secrets.
func libreswanSecret(t tunnel, o Options) string { return swanSecret(t, o) }

// keyKind is how a tunnel's certificate proves its owner; rsasig where there is none yet.
func keyKind(t tunnel) string {
	block, _ := pem.Decode([]byte(t.Auth.Certificate))
	if block == nil {
		return "rsasig"
	}
	if cert, err := x509.ParseCertificate(block.Bytes); err == nil && cert.PublicKeyAlgorithm == x509.ECDSA {
		return "ecdsa"
	}
	return "rsasig"
}

// libreswanID writes an identity for ipsec.conf, where @ keeps a domain name from being looked up.
func libreswanID(id string) string {
	switch idKind(id) {
	case "domain":
		return "@" + id
	case "name":
		return `"` + id + `"`
	}
	return id
}

func strongswanProposals(all []vpn.Proposal, ike bool) string {
	var s []string
	for _, p := range all {
		words := []string{p.Encryption}
		if p.Integrity != "" {
			words = append(words, p.Integrity)
		}
		if ike && (p.PRF != p.Integrity) {
			words = append(words, "prf"+p.PRF)
		}
		if g, ok := vpn.GroupOf(p.DH); ok {
			words = append(words, g.Name)
		}
		s = append(s, strings.Join(words, "-"))
	}
	return strings.Join(s, ",")
}

func libreswanProposals(all []vpn.Proposal, ike bool) string {
	cipher := map[string]string{"aes256gcm16": "aes_gcm256", "aes128gcm16": "aes_gcm128", "chacha20poly1305": "chacha20poly1305", "aes256": "aes256", "aes192": "aes192", "aes128": "aes128", "3des": "3des"}
	hash := map[string]string{"sha512": "sha2_512", "sha384": "sha2_384", "sha256": "sha2_256", "sha1": "sha1", "md5": "md5"}
	var s []string
	for _, p := range all {
		words := []string{cipher[p.Encryption]}
		switch {
		case ike && p.Integrity == "":
			words = append(words, hash[p.PRF]) // of an AEAD proposal the hash is the PRF
		case p.Integrity != "":
			words = append(words, hash[p.Integrity])
		case p.DH != 0:
			words = append(words, "null") // otherwise the group is taken for the hash
		}
		if p.DH != 0 {
			words = append(words, fmt.Sprintf("dh%d", p.DH))
		}
		s = append(s, strings.Join(words, "-"))
	}
	return strings.Join(s, ",")
}
