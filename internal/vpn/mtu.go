package vpn

// InnerMTU returns how large a packet may be so that it crosses a path of
// packets of path bytes in one piece once p has encrypted it for a tunnel (RFC 4303,
// tunnel mode, outer IPv4), and the largest TCP segment (MSS, IPv4) that makes
// such a packet. With natt ESP travels in UDP (RFC 3948). Where the outer header
// is IPv6, give path less 20. An unknown cipher counts as AES-CBC, an unknown
// hash as SHA-512: no device sends more.
//
//	| IPv4 20 | UDP 8 (natt) | SPI, sequence 8 | IV | packet, padding, 2 | ICV |
//	                                                 \___ whole blocks ___/
func InnerMTU(path int, natt bool, p Proposal) (mtu, mss int) {
	shape := shapeOf(p)
	room := path - 20 - 8 - shape.iv - shape.icv
	if natt {
		room -= 8
	}
	mtu = max(0, room-room%shape.block-2)
	return mtu, max(0, mtu-40)
}

// shape is what an algorithm adds to a packet, in bytes.
type shape struct{ iv, block, icv int }

// shapeOf knows what each cipher (RFC 3602, RFC 4106, RFC 7634, RFC 2451) and
// each hash (RFC 2403, RFC 2404, RFC 4868) adds. ESP aligns to 4 bytes at least.
func shapeOf(p Proposal) shape {
	switch p.Encryption {
	case "aes256gcm16", "aes128gcm16", "chacha20poly1305":
		return shape{iv: 8, block: 4, icv: 16}
	}
	s := shape{iv: 16, block: 16, icv: 32}
	if p.Encryption == "3des" || p.Encryption == "des" {
		s.iv, s.block = 8, 8
	}
	switch p.Integrity {
	case "md5", "sha1":
		s.icv = 12
	case "sha256":
		s.icv = 16
	case "sha384":
		s.icv = 24
	}
	return s
}

// PathMTU returns what InnerMTU says of the worst of t's ESP proposals on a path
// of packets of path bytes, outer IPv6 taken into account.
func (t Tunnel) PathMTU(path int) (mtu, mss int) {
	if t.Remote.Address.Is6() && !t.Remote.Address.Is4In6() {
		path -= 20
	}
	proposals := t.ESP.Proposals
	if len(proposals) == 0 {
		proposals = DefaultESP
	}
	for i, p := range proposals {
		if m, s := InnerMTU(path, t.NATT, p); i == 0 || m < mtu {
			mtu, mss = m, s
		}
	}
	return mtu, mss
}
