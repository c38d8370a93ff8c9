package vpn

import (
	"fmt"
	"strconv"
	"strings"

	"causeway/internal/nearest"
)

// CipherOf returns the cipher of that name.
func CipherOf(name string) (Algorithm, bool) { return find(Ciphers, name) }

// HashOf returns the hash of that name.
func HashOf(name string) (Algorithm, bool) { return find(Hashes, name) }

// GroupOf returns the Diffie-Hellman group of that number.
func GroupOf(number int) (Group, bool) {
	for _, g := range Groups {
		if g.Number == number {
			return g, true
		}
	}
	return Group{}, false
}

func find(all []Algorithm, name string) (Algorithm, bool) {
	for _, a := range all {
		if a.Name == name {
			return a, true
		}
	}
	return Algorithm{}, false
}

func names(all []Algorithm) []string {
	var s []string
	for _, a := range all {
		s = append(s, a.Name)
	}
	return s
}

func groupNumbers() string {
	var s []string
	for _, g := range Groups {
		s = append(s, strconv.Itoa(g.Number))
	}
	return strings.Join(s, ", ")
}

// spoken are names that other products have for algorithms of ours.
var spoken = map[string]string{
	"aes": "aes128", "aes128cbc": "aes128", "aes192cbc": "aes192", "aes256cbc": "aes256", "aescbc256": "aes256", "aescbc128": "aes128",
	"aesgcm": "aes256gcm16", "aes256gcm": "aes256gcm16", "aes128gcm": "aes128gcm16", "aesgcm256": "aes256gcm16", "aesgcm128": "aes128gcm16", "chacha20": "chacha20poly1305",
	"tripledes": "3des", "3descbc": "3des", "descbc": "des", "sha": "sha1", "sha2": "sha256", "sha2256": "sha256", "sha2384": "sha384", "sha2512": "sha512",
	"hmacsha1": "sha1", "hmacsha256": "sha256", "hmacmd5": "md5",
}

func validateProposals(l *list, proposals []Proposal, version int, ike bool) {
	if len(proposals) > 10 {
		l.add("proposals", fmt.Sprintf("%d proposals", len(proposals)), "at most 10", "keep the best few")
	}
	for i, p := range proposals {
		validateProposal(l, fmt.Sprintf("proposals[%d]", i), p, version, ike)
	}
}

func validateProposal(l *list, path string, p Proposal, version int, ike bool) {
	cipher, known := CipherOf(p.Encryption)
	if !known {
		l.algorithm(path+".encryption", p.Encryption, Ciphers)
	}
	switch {
	case known && cipher.AEAD && p.Integrity != "":
		l.add(path+".integrity", p.Integrity, "nothing: "+cipher.Name+" protects integrity itself", "take it away")
	case cipher.AEAD:
	default:
		if _, known := HashOf(p.Integrity); !known {
			l.algorithm(path+".integrity", p.Integrity, Hashes)
		}
	}
	switch {
	case !ike && p.PRF != "":
		l.add(path+".prf", p.PRF, "nothing: a child SA has no pseudo-random function", "take it away")
	case ike:
		if _, known := HashOf(p.PRF); p.PRF != "" && !known {
			l.algorithm(path+".prf", p.PRF, Hashes)
		}
	}
	if _, known := GroupOf(p.DH); !known && (ike || p.DH != 0) {
		allowed := "one of " + groupNumbers()
		if !ike {
			allowed += ", or 0 for no perfect forward secrecy"
		}
		if p.DH == 0 {
			l.missing(path+".dh", allowed, "")
		} else {
			l.add(path+".dh", p.DH, allowed, "14 is what every device can do")
		}
	}
	if version == 1 {
		validateForIKEv1(l, path, p, cipher, ike)
	}
}

// validateForIKEv1 refuses what only IKEv2 can negotiate: AEAD ciphers for IKE
// itself (RFC 5282), ChaCha20 at all (RFC 7634), and a PRF other than the hash (RFC 2409, 4).
func validateForIKEv1(l *list, path string, p Proposal, cipher Algorithm, ike bool) {
	const fix = "set ike.version: 2, or choose aes256 with sha256"
	switch {
	case p.Encryption == "chacha20poly1305":
		l.add(path+".encryption", p.Encryption, "a cipher of IKEv1", fix)
	case ike && cipher.AEAD:
		l.add(path+".encryption", p.Encryption, "a cipher that IKEv1 can use for itself: aes256, aes192, aes128, 3des, des", fix)
	case ike && p.PRF != "" && p.PRF != p.Integrity:
		l.add(path+".prf", p.PRF, p.Integrity+": IKEv1 has one hash for both", "take it away")
	}
}

func (l *list) algorithm(path, found string, all []Algorithm) {
	allowed := "one of " + strings.Join(names(all), ", ")
	if found == "" {
		l.missing(path, allowed, "")
		return
	}
	fix := ""
	near, known := spoken[nearest.Plain(found)]
	if _, fits := find(all, near); !known || !fits {
		near = nearest.Of(found, names(all))
	}
	if near != "" {
		fix = "did you mean " + near + "?"
	}
	l.add(path, found, allowed, fix)
}
