package gateway

import "os/exec"

// Detect says which back end works here by trying the kernel's: an SA of the
// kind the lab's tunnels use, added in the namespace that in enters (a new one;
// it is left with nothing in it).
func Detect(in func(func() error) error) Backend {
	sa := []string{"src", "192.0.2.1", "dst", "192.0.2.2", "proto", "esp", "spi", "0xc0000001"}
	add := append(append([]string{"xfrm", "state", "add"}, sa...),
		"mode", "tunnel", "aead", "rfc4106(gcm(aes))", "0x00112233445566778899aabbccddeeff00010203", "128",
		"encap", "espinudp", "4500", "4500", "0.0.0.0")
	if in(exec.Command("ip", add...).Run) != nil {
		return Libipsec
	}
	_ = in(exec.Command("ip", append([]string{"xfrm", "state", "delete"}, sa...)...).Run)
	return Kernel
}
