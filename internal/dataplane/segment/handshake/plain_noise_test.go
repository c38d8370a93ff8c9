package handshake

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/ecdh"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"testing"
)

// plainIK is Noise_IK_25519_AESGCM_SHA256 written straight from the Noise
// specification, revision 34, sections 5 and 7, with nothing but the standard
// library: slow, in one piece, and the judge of what this package sends.
type plainIK struct {
	t     *testing.T
	ck, h []byte
	k     []byte
	n     uint64
}

func newPlainIK(t *testing.T, prologue []byte, responderStatic []byte) *plainIK {
	name := []byte("Noise_IK_25519_AESGCM_SHA256") // 28 bytes, so padded and not hashed
	p := &plainIK{t: t, h: append(name, 0, 0, 0, 0)}
	p.ck = append([]byte(nil), p.h...)
	p.mixHash(prologue)
	p.mixHash(responderStatic)
	return p
}

func (p *plainIK) mixHash(data []byte) {
	sum := sha256.Sum256(append(append([]byte(nil), p.h...), data...))
	p.h = sum[:]
}

func hmacSHA256(key []byte, data ...byte) []byte {
	m := hmac.New(sha256.New, key)
	m.Write(data)
	return m.Sum(nil)
}

func hkdf2(ck, input []byte) (a, b []byte) {
	temp := hmacSHA256(ck, input...)
	a = hmacSHA256(temp, 1)
	return a, hmacSHA256(temp, append(append([]byte(nil), a...), 2)...)
}

func (p *plainIK) mixKey(private, public []byte) {
	p.t.Helper()
	d, err := ecdh.X25519().NewPrivateKey(private)
	if err != nil {
		p.t.Fatal(err)
	}
	q, err := ecdh.X25519().NewPublicKey(public)
	if err != nil {
		p.t.Fatal(err)
	}
	shared, err := d.ECDH(q)
	if err != nil {
		p.t.Fatal(err)
	}
	p.ck, p.k = hkdf2(p.ck, shared)
	p.n = 0
}

func (p *plainIK) encrypt(plain []byte) []byte {
	sealed := plainSeal(p.t, p.k, p.n, p.h, plain)
	p.n++
	p.mixHash(sealed)
	return sealed
}

func plainSeal(t *testing.T, key []byte, n uint64, ad, plain []byte) []byte {
	t.Helper()
	block, err := aes.NewCipher(key)
	if err != nil {
		t.Fatal(err)
	}
	gcm, err := cipher.NewGCM(block)
	if err != nil {
		t.Fatal(err)
	}
	return gcm.Seal(nil, binary.BigEndian.AppendUint64(make([]byte, 4), n), plain, ad)
}

func plainPublic(t *testing.T, private []byte) []byte {
	t.Helper()
	d, err := ecdh.X25519().NewPrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	return d.PublicKey().Bytes()
}

// run performs a whole handshake and returns both messages and both keys, the
// initiator's for sending first.
func (p *plainIK) run(initiatorStatic, responderStatic, initiatorEphemeral, responderEphemeral, payload1, payload2 []byte) (msg1, msg2, k1, k2 []byte) {
	si, sr := plainPublic(p.t, initiatorStatic), plainPublic(p.t, responderStatic)
	ei, er := plainPublic(p.t, initiatorEphemeral), plainPublic(p.t, responderEphemeral)
	// -> e, es, s, ss
	p.mixHash(ei)
	p.mixKey(initiatorEphemeral, sr)
	msg1 = append(append([]byte(nil), ei...), p.encrypt(si)...)
	p.mixKey(initiatorStatic, sr)
	msg1 = append(msg1, p.encrypt(payload1)...)
	// <- e, ee, se
	p.mixHash(er)
	p.mixKey(responderEphemeral, ei)
	p.mixKey(responderEphemeral, si)
	msg2 = append(append([]byte(nil), er...), p.encrypt(payload2)...)
	k1, k2 = hkdf2(p.ck, nil)
	return msg1, msg2, k1, k2
}

// A published vector (the one with payloads in flynn/noise's vectors.txt) holds
// the judge itself to account.
func TestThePlainImplementationMeetsThePublishedVector(t *testing.T) {
	private := func(first byte) []byte {
		b := make([]byte, 32)
		for i := range b {
			b[i] = first + byte(i)
		}
		return b
	}
	p := newPlainIK(t, nil, plainPublic(t, private(1)))
	msg1, msg2, k1, k2 := p.run(private(0), private(1), private(0x20), private(0x41), []byte("test_msg_0"), []byte("test_msg_1"))
	for name, v := range map[string]struct {
		got  []byte
		want string
	}{
		"message 1":               {msg1, "358072d6365880d1aeea329adf9121383851ed21a28e3b75e965d0d2cd16625419d6fab175300a577115c701c41ed681373f0432f81d3bf8676bd05216cd1919ba2eaa418fdd8e09ae59d7cf57869de4e6d8177aa9777fe9b843100e255aee76034f61b96b52af38660c"},
		"message 2":               {msg2, "64b101b1d0be5a8704bd078f9895001fc03e8e9f9522f188dd128d9846d4846658a7bb8caac509783390e5a04df4a3ca570b2bcdf65f8c1c40cd"},
		"first transport message": {plainSeal(t, k1, 0, nil, []byte("yellowsubmarine")), "80a75e75c8e8d2e9c2a6c7bc6e550c4997d6d2b45429a530821c4aa5d36f27"},
		"second":                  {plainSeal(t, k2, 0, nil, []byte("submarineyellow")), "b8475410da62a98493d33a1e669f8f56dd8f61d449b53bd375299c3435424a"},
	} {
		if got := hex.EncodeToString(v.got); got != v.want {
			t.Errorf("%s: %s, want %s", name, got, v.want)
		}
	}
}
