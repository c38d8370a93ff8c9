package vpn

// Algorithm is a cipher, hash or group by its name here, which is strongSwan's
// keyword, and what is worth knowing of it.
type Algorithm struct {
	Name string
	AEAD bool // ciphers: needs no integrity algorithm
	Weak bool // not to be used in new connections (RFC 8247, RFC 8221: MUST NOT or SHOULD NOT)
	Key  int  // bits
}

// Ciphers are the encryption algorithms there are, best first.
var Ciphers = []Algorithm{
	{Name: "aes256gcm16", AEAD: true, Key: 256}, {Name: "aes128gcm16", AEAD: true, Key: 128}, {Name: "chacha20poly1305", AEAD: true, Key: 256},
	{Name: "aes256", Key: 256}, {Name: "aes192", Key: 192}, {Name: "aes128", Key: 128},
	{Name: "3des", Weak: true, Key: 168}, {Name: "des", Weak: true, Key: 56},
}

// Hashes are the integrity algorithms and pseudo-random functions there are, best first.
var Hashes = []Algorithm{
	{Name: "sha512", Key: 512}, {Name: "sha384", Key: 384}, {Name: "sha256", Key: 256}, {Name: "sha1", Weak: true, Key: 160}, {Name: "md5", Weak: true, Key: 128},
}

// Group is a Diffie-Hellman group by its IANA number.
type Group struct {
	Number int
	Name   string // strongSwan's keyword
	Weak   bool
}

// Groups are the Diffie-Hellman groups there are.
var Groups = []Group{
	{31, "curve25519", false}, {21, "ecp521", false}, {20, "ecp384", false}, {19, "ecp256", false},
	{18, "modp8192", false}, {17, "modp6144", false}, {16, "modp4096", false}, {15, "modp3072", false}, {14, "modp2048", false},
	{5, "modp1536", true}, {2, "modp1024", true}, {1, "modp768", true},
}

// DefaultIKE and DefaultESP are the proposals of a connection that names none:
// what every device of the last ten years can do.
var (
	DefaultIKE = []Proposal{{Encryption: "aes256", Integrity: "sha256", PRF: "sha256", DH: 14}}
	DefaultESP = []Proposal{{Encryption: "aes256", Integrity: "sha256", DH: 14}}
)
