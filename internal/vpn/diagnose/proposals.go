package diagnose

import (
	"strings"

	"causeway/internal/vpn"
)

// parseProposals reads what charon lists: IKE:AES_CBC_256/HMAC_SHA2_256_128/PRF_HMAC_SHA2_256/ECP_256, IKE:…
// What it has other names for than we do is left out. layer is "ike", "esp" or "".
func parseProposals(s string) (all []vpn.Proposal, layer string) {
	if len(s) > 4096 {
		s = s[:4096]
	}
	for one := range strings.SplitSeq(s, ",") {
		protocol, words, found := strings.Cut(strings.TrimSpace(one), ":")
		if !found || protocol != "IKE" && protocol != "ESP" {
			continue
		}
		layer = strings.ToLower(protocol)
		var p vpn.Proposal
		for word := range strings.SplitSeq(words, "/") {
			readAlgorithm(&p, word)
		}
		if layer == "esp" {
			p.PRF = ""
		}
		all = append(all, p)
	}
	return all, layer
}

var (
	ciphers = map[string]string{"AES_GCM_16_256": "aes256gcm16", "AES_GCM_16_128": "aes128gcm16", "CHACHA20_POLY1305": "chacha20poly1305", "CHACHA20_POLY1305_256": "chacha20poly1305",
		"AES_CBC_256": "aes256", "AES_CBC_192": "aes192", "AES_CBC_128": "aes128", "3DES_CBC": "3des", "DES_CBC": "des"}
	hashes = map[string]string{"HMAC_SHA2_512_256": "sha512", "HMAC_SHA2_384_192": "sha384", "HMAC_SHA2_256_128": "sha256", "HMAC_SHA1_96": "sha1", "HMAC_MD5_96": "md5"}
	prfs   = map[string]string{"PRF_HMAC_SHA2_512": "sha512", "PRF_HMAC_SHA2_384": "sha384", "PRF_HMAC_SHA2_256": "sha256", "PRF_HMAC_SHA1": "sha1", "PRF_HMAC_MD5": "md5"}
	groups = map[string]int{"CURVE_25519": 31, "ECP_521": 21, "ECP_384": 20, "ECP_256": 19, "MODP_8192": 18, "MODP_6144": 17, "MODP_4096": 16, "MODP_3072": 15, "MODP_2048": 14, "MODP_1536": 5, "MODP_1024": 2, "MODP_768": 1}
)

// readAlgorithm puts one word into p; of several of a kind the first stands.
func readAlgorithm(p *vpn.Proposal, word string) {
	if c, ok := ciphers[word]; ok && p.Encryption == "" {
		p.Encryption = c
	}
	if h, ok := hashes[word]; ok && p.Integrity == "" {
		p.Integrity = h
	}
	if h, ok := prfs[word]; ok && p.PRF == "" {
		p.PRF = h
	}
	if g, ok := groups[word]; ok && p.DH == 0 {
		p.DH = g
	}
}
