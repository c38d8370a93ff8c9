package handshake

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// A payload is a list of records, each a type byte, a length byte and a value
// (numbers big endian). Types that are not known are skipped, and so is what a
// later version appends to a known value. A type comes at most once.
const (
	recordVersion      = 1 // VersionMin, VersionMax: must be there
	recordCapabilities = 2 // 4 bytes
	recordLabel        = 3 // 2 bytes
	recordIncarnation  = 4 // 8 bytes
	recordSequence     = 5 // 8 bytes; initiations only
	recordIndex        = 6 // 4 bytes: the responder's index; responses that accept
)

var (
	errTruncated = errors.New("a record is cut short")
	errTwice     = errors.New("a record comes twice")
	errNoVersion = errors.New("there is no version record")
)

// payload is what a message's records say.
type payload struct {
	hello    Hello
	index    uint32
	hasIndex bool
}

// encode appends the records of p to b.
func (p payload) encode(b []byte) []byte {
	h := p.hello
	b = append(b, recordVersion, 2, h.VersionMin, h.VersionMax)
	b = binary.BigEndian.AppendUint32(append(b, recordCapabilities, 4), h.Capabilities)
	b = binary.BigEndian.AppendUint16(append(b, recordLabel, 2), h.Label)
	b = binary.BigEndian.AppendUint64(append(b, recordIncarnation, 8), h.Incarnation)
	if h.Sequence != 0 {
		b = binary.BigEndian.AppendUint64(append(b, recordSequence, 8), h.Sequence)
	}
	if p.hasIndex {
		b = binary.BigEndian.AppendUint32(append(b, recordIndex, 4), p.index)
	}
	return b
}

// decodePayload reads records, which are authentic but perhaps a later version's.
func decodePayload(b []byte) (payload, error) {
	var p payload
	var seen [256]bool
	for len(b) > 0 {
		if len(b) < 2 || len(b)-2 < int(b[1]) {
			return payload{}, errTruncated
		}
		kind, value := b[0], b[2:2+int(b[1])]
		b = b[2+len(value):]
		if seen[kind] {
			return payload{}, fmt.Errorf("%w: type %d", errTwice, kind)
		}
		seen[kind] = true
		if err := p.set(kind, value); err != nil {
			return payload{}, err
		}
	}
	if !seen[recordVersion] {
		return payload{}, errNoVersion
	}
	return p, p.hello.check()
}

// set takes in one record.
func (p *payload) set(kind byte, value []byte) error {
	want := [...]int{recordVersion: 2, recordCapabilities: 4, recordLabel: 2, recordIncarnation: 8, recordSequence: 8, recordIndex: 4}
	if int(kind) >= len(want) || want[kind] == 0 {
		return nil
	}
	if len(value) < want[kind] {
		return fmt.Errorf("%w: type %d has %d bytes, want %d", errTruncated, kind, len(value), want[kind])
	}
	switch kind {
	case recordVersion:
		p.hello.VersionMin, p.hello.VersionMax = value[0], value[1]
	case recordCapabilities:
		p.hello.Capabilities = binary.BigEndian.Uint32(value)
	case recordLabel:
		p.hello.Label = binary.BigEndian.Uint16(value)
	case recordIncarnation:
		p.hello.Incarnation = binary.BigEndian.Uint64(value)
	case recordSequence:
		p.hello.Sequence = binary.BigEndian.Uint64(value)
	case recordIndex:
		p.index, p.hasIndex = binary.BigEndian.Uint32(value), true
	}
	return nil
}

// check tells whether h's versions are a range.
func (h Hello) check() error {
	if h.VersionMin > h.VersionMax || h.VersionMax == 0 {
		return fmt.Errorf("versions %d to %d are no range; want min ≤ max and max > 0", h.VersionMin, h.VersionMax)
	}
	return nil
}

// agree settles version and capabilities, if the two can talk.
func agree(a, b Hello) (version uint8, capabilities uint32, ok bool) {
	version = min(a.VersionMax, b.VersionMax)
	return version, a.Capabilities & b.Capabilities, version >= a.VersionMin && version >= b.VersionMin
}
