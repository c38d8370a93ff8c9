package handshake

import (
	"bytes"
	"crypto/cipher"
	"crypto/ecdh"
	"fmt"
	"io"

	"github.com/flynn/noise"

	"causeway/internal/keys"
)

// Initiation is one handshake from its initiator's side. It is for one goroutine.
type Initiation struct {
	static    *ecdh.PrivateKey
	peer      keys.PublicKey
	hello     Hello
	index     uint32
	ephemeral [keys.Size]byte
	noise     *noise.HandshakeState
	mac1      *mac // of datagrams to us
	opener    cipher.AEAD
	cookie    []byte // nil until one came
	msg       []byte
	finished  bool
}

// Initiate starts a handshake with peer. index is the receiver index by which
// the caller will know the answer, and later the data sealed under these keys.
// rng gives the ephemeral key; production passes crypto/rand.Reader.
func Initiate(local keys.PrivateKey, peer keys.PublicKey, hello Hello, index uint32, rng io.Reader) (*Initiation, error) {
	i := &Initiation{static: staticKey(local), peer: peer, hello: hello, index: index, opener: cookieSealer(peer)}
	i.mac1 = newMAC1(publicOf(i.static))
	if err := hello.check(); err != nil {
		return nil, fmt.Errorf("start a handshake with %v: %w", peer, err)
	}
	if _, err := io.ReadFull(rng, i.ephemeral[:]); err != nil {
		return nil, fmt.Errorf("start a handshake with %v: read random bytes: %w", peer, err)
	}
	if err := i.write(); err != nil {
		return nil, fmt.Errorf("start a handshake with %v: %w", peer, err)
	}
	body := len(i.msg)
	i.msg = append(i.msg, newMAC1(peer).of(i.msg[:body])...)
	i.msg = append(i.msg, make([]byte, macLen)...) // mac2, once there is a cookie
	return i, nil
}

// write makes the Noise state and the initiation without its MACs. All that
// goes in is kept, so it can be done again with the same outcome.
func (i *Initiation) write() error {
	header := make([]byte, headerLen)
	putHeader(header, TypeInitiation, i.hello.Shard, i.hello.Through, i.index)
	state, err := noise.NewHandshakeState(noise.Config{
		CipherSuite:   suiteFor(i.static),
		Random:        bytes.NewReader(i.ephemeral[:]),
		Pattern:       noise.HandshakeIK,
		Initiator:     true,
		Prologue:      append([]byte(prologue), header...),
		StaticKeypair: dhKey(i.static),
		PeerStatic:    i.peer[:],
	})
	if err != nil {
		return err
	}
	msg, _, _, err := state.WriteMessage(header, payload{hello: i.hello}.encode(nil))
	if err != nil {
		return err // such as a peer key that is no point worth multiplying
	}
	i.noise = state
	if i.msg == nil {
		i.msg = msg
	}
	return nil
}

// Message returns the datagram to send, over every wire there is, and to repeat
// as Schedule says. The bytes are the same each time until a cookie arrives, so
// the responder answers all copies alike. They are borrowed until Cookie is called.
func (i *Initiation) Message() []byte { return i.msg }

// Index is the receiver index given to Initiate, which answers carry (see PeekIndex).
func (i *Initiation) Index() uint32 { return i.index }

// Cookie takes in a cookie reply. After nil, Message carries the proof that
// this source address is ours; send it at once. Any error means "ignore":
// ErrForged, or ErrNotForUs also for a cookie that we have already. With several
// wires of different source addresses, the last cookie holds.
func (i *Initiation) Cookie(msg []byte) error {
	if !wellFormed(msg, TypeCookieReply, cookieReplyLen) || len(msg) != cookieReplyLen || indexOf(msg) != i.index {
		return ErrNotForUs
	}
	mac1 := i.msg[len(i.msg)-2*macLen : len(i.msg)-macLen]
	nonce, sealed := msg[headerLen:headerLen+nonceLen], msg[headerLen+nonceLen:]
	cookie, err := i.opener.Open(nil, nonce, sealed, mac1)
	if err != nil {
		return ErrForged
	}
	if bytes.Equal(cookie, i.cookie) {
		return ErrNotForUs
	}
	i.cookie = cookie
	signed := len(i.msg) - macLen
	copy(i.msg[signed:], newMAC(cookie).of(i.msg[:signed]))
	return nil
}

// Finish takes in a response and returns the keys. It works once; a wrong
// response changes nothing. Errors: ErrNotForUs, ErrForged, ErrFinished, *VersionError.
func (i *Initiation) Finish(response []byte) (Keys, error) {
	if i.finished {
		return Keys{}, ErrFinished
	}
	if !wellFormed(response, TypeResponse, minResponse) || indexOf(response) != i.index {
		return Keys{}, ErrNotForUs
	}
	signed := len(response) - macLen
	if !i.mac1.verify(response[:signed], response[signed:]) {
		return Keys{}, ErrForged
	}
	k, err := i.read(response[headerLen:signed])
	if err != nil {
		// The Noise state is spoilt by a wrong message: begin it anew.
		if again := i.write(); again != nil {
			return Keys{}, again
		}
		return Keys{}, err
	}
	i.finished = true
	return k, nil
}

// read takes in Noise message 2.
func (i *Initiation) read(msg []byte) (Keys, error) {
	records, send, receive, err := i.noise.ReadMessage(nil, msg)
	if err != nil {
		return Keys{}, ErrForged
	}
	said, err := decodePayload(records)
	if err != nil {
		return Keys{}, fmt.Errorf("response of %v: %w", i.peer, err)
	}
	version, capabilities, ok := agree(i.hello, said.hello)
	if !ok {
		return Keys{}, &VersionError{Local: i.hello, Peer: said.hello}
	}
	if !said.hasIndex {
		return Keys{}, fmt.Errorf("response of %v: there is no index record", i.peer)
	}
	said.hello.Through = i.hello.Through
	return Keys{
		Send: keys.Secret(send.UnsafeKey()), Receive: keys.Secret(receive.UnsafeKey()),
		Peer: i.peer, PeerHello: said.hello,
		Version: version, Capabilities: capabilities,
		LocalIndex: i.index, PeerIndex: said.index,
	}, nil
}

// Format prints whom the handshake is with, and none of its keys.
func (i *Initiation) Format(f fmt.State, _ rune) { fmt.Fprintf(f, "handshake with %v", i.peer) }
