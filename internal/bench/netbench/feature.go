package netbench

import (
	"bytes"
	"fmt"
	"unsafe"

	"golang.org/x/sys/unix"
)

// The kernel's ethtool ioctls for the features of a device, which it names by
// text and numbers anew with every version.
const (
	stringSetFeatures = 4  // ETH_SS_FEATURES
	stringLen         = 32 // ETH_GSTRING_LEN
	maxFeatures       = 256
)

type ifreq struct {
	name [unix.IFNAMSIZ]byte
	data unsafe.Pointer
	_    [8]byte
}

// setFeature switches a feature of a device, in this thread's namespace, as
// `ethtool -K DEVICE NAME on|off` does.
func setFeature(device, name string, on bool) error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	bit, blocks, err := findFeature(fd, device, name)
	if err != nil {
		return err
	}
	var set struct {
		cmd, size uint32
		block     [maxFeatures / 32]struct{ valid, requested uint32 }
	}
	set.cmd, set.size = unix.ETHTOOL_SFEATURES, blocks
	set.block[bit/32].valid = 1 << (bit % 32)
	if on {
		set.block[bit/32].requested = 1 << (bit % 32)
	}
	// The kernel answers with flags when it did something else than was asked.
	if err := ethtool(fd, device, unsafe.Pointer(&set)); err != nil {
		return fmt.Errorf("feature %s: %w", name, err)
	}
	return nil
}

// findFeature returns the number of a feature, and how many blocks of 32 all take.
func findFeature(fd int, device, name string) (bit int, blocks uint32, err error) {
	count := struct {
		cmd, reserved uint32
		mask          uint64
		n             uint32
	}{cmd: unix.ETHTOOL_GSSET_INFO, mask: 1 << stringSetFeatures}
	if err := ethtool(fd, device, unsafe.Pointer(&count)); err != nil {
		return 0, 0, fmt.Errorf("count features: %w", err)
	}
	if count.n > maxFeatures {
		return 0, 0, fmt.Errorf("count features: found %d, at most %d are expected", count.n, maxFeatures)
	}
	var names struct {
		cmd, set, n uint32
		text        [maxFeatures][stringLen]byte
	}
	names.cmd, names.set, names.n = unix.ETHTOOL_GSTRINGS, stringSetFeatures, count.n
	if err := ethtool(fd, device, unsafe.Pointer(&names)); err != nil {
		return 0, 0, fmt.Errorf("list features: %w", err)
	}
	for i := range names.text[:count.n] {
		if text, _, _ := bytes.Cut(names.text[i][:], []byte{0}); string(text) == name {
			return i, (count.n + 31) / 32, nil
		}
	}
	return 0, 0, fmt.Errorf("this kernel knows no device feature %s", name)
}

func ethtool(fd int, device string, data unsafe.Pointer) error {
	r := ifreq{data: data}
	copy(r.name[:unix.IFNAMSIZ-1], device)
	if _, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), unix.SIOCETHTOOL, uintptr(unsafe.Pointer(&r))); errno != 0 {
		return errno
	}
	return nil
}
