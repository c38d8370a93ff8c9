package netbench

import (
	"fmt"
	"os"
	"testing"
	"time"

	"causeway/internal/lab/netns"
)

// What is written comes out at the other end of the cable, whole and one by one, and
// costs the receiving end nothing before it looks.
func TestFramesCrossTheCable(t *testing.T) {
	if err := netns.Check(); err != nil {
		t.Skip(err)
	}
	prefix := netns.Prefix(fmt.Sprintf("frames%d", os.Getpid()))
	var hosts [2]*netns.NS
	for i := range hosts {
		ns, err := netns.Create(fmt.Sprintf("%s%d", prefix, i))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = ns.Delete() })
		if err := ns.Host(false); err != nil {
			t.Fatal(err)
		}
		hosts[i] = ns
	}
	mark := fmt.Sprintf("f%d", os.Getpid()%100000)
	left, right, err := Connect(hosts[0], mark+"a", hosts[1], mark+"b", CableOptions{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _, _ = left.Close(), right.Close() })
	g, err := NewGenerator(left, right, nil, DefaultWindow, Anywhere, Frames)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = g.Close() })
	for _, size := range []int{12, 256, MTU - ipUDP} {
		s := &Stream{To: testTarget, Size: size}
		for range 3 {
			s.Clients = append(s.Clients, testClient)
		}
		before, err := right.Received()
		if err != nil {
			t.Fatal(err)
		}
		if err := g.Greet(s); err != nil {
			t.Fatal(err)
		}
		var after Received
		for end := time.Now().Add(10 * time.Second); time.Now().Before(end); time.Sleep(time.Millisecond) {
			if after, err = right.Received(); err != nil || after.Packets >= before.Packets+3 {
				break
			}
		}
		// Of a frame the device counts the link's header, too.
		if packets, bytes := after.Packets-before.Packets, after.Bytes-before.Bytes; err != nil || packets != 3 || bytes != uint64(3*(ethernetLen+ipUDP+size)) {
			t.Errorf("of 3 packets of %d bytes %d came, %d bytes (%v)", size, packets, bytes, err)
		}
	}
}
