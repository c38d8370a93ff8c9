package handshake

import (
	"errors"
	"io"

	"causeway/internal/keys"
)

var errTodo = errors.New("not written yet")

// Initiation is one handshake from its initiator's side. It is for one goroutine.
type Initiation struct{}

// Initiate starts a handshake with peer. index is the receiver index by which
// the caller will know the answer, and later the data sealed under these keys.
// rng gives the ephemeral key; production passes crypto/rand.Reader.
func Initiate(local keys.PrivateKey, peer keys.PublicKey, hello Hello, index uint32, rng io.Reader) (*Initiation, error) {
	return nil, errTodo
}

// Message returns the datagram to send, over every wire there is, and to repeat
// as Schedule says. The bytes are the same each time until a cookie arrives, so
// the responder answers all copies alike. They are borrowed until Cookie is called.
func (i *Initiation) Message() []byte { return nil }

// Cookie takes in a cookie reply. After nil, Message carries the proof that
// this source address is ours; send it at once. Any error means "ignore".
func (i *Initiation) Cookie(msg []byte) error { return errTodo }

// Finish takes in a response and returns the keys. It works once; a wrong
// response changes nothing. Errors: ErrNotForUs, ErrForged, ErrFinished, *VersionError.
func (i *Initiation) Finish(response []byte) (Keys, error) { return Keys{}, errTodo }

// Index is the receiver index given to Initiate, which answers carry (see PeekIndex).
func (i *Initiation) Index() uint32 { return 0 }

// PeekIndex returns the receiver index of a response or cookie reply, by which
// the caller finds the Initiation. Nothing is authenticated yet.
func PeekIndex(msg []byte) (index uint32, ok bool) { return 0, false }
