package netns

import (
	"fmt"
	"net"
	"os"

	"golang.org/x/sys/unix"
)

// maxFiles is how many descriptors travel in one message.
const maxFiles = 64

// SendFiles passes open files (sockets and devices of a namespace, say) to the process at
// the other end. The caller keeps its own.
func SendFiles(conn *net.UnixConn, files ...*os.File) error {
	if len(files) == 0 || len(files) > maxFiles {
		return fmt.Errorf("send files: found %d, want 1 to %d at once", len(files), maxFiles)
	}
	fds := make([]int, len(files))
	for i, f := range files {
		fds[i] = int(f.Fd())
	}
	_, _, err := conn.WriteMsgUnix([]byte{byte(len(fds))}, unix.UnixRights(fds...), nil)
	if err != nil {
		return fmt.Errorf("send files: %w", err)
	}
	return nil
}

// ReceiveFiles takes what one SendFiles passed. The files are the caller's to close.
func ReceiveFiles(conn *net.UnixConn) ([]*os.File, error) {
	var count [1]byte
	control := make([]byte, unix.CmsgSpace(4*maxFiles))
	_, n, _, _, err := conn.ReadMsgUnix(count[:], control)
	if err != nil {
		return nil, fmt.Errorf("receive files: %w", err)
	}
	var files []*os.File
	messages, err := unix.ParseSocketControlMessage(control[:n])
	for i := range messages {
		fds, rightsErr := unix.ParseUnixRights(&messages[i])
		if rightsErr != nil {
			err = rightsErr
		}
		for _, fd := range fds {
			unix.CloseOnExec(fd)
			files = append(files, os.NewFile(uintptr(fd), "passed"))
		}
	}
	if err == nil && len(files) != int(count[0]) {
		err = fmt.Errorf("found %d, want %d", len(files), count[0])
	}
	if err != nil {
		for _, f := range files {
			f.Close()
		}
		return nil, fmt.Errorf("receive files: %w", err)
	}
	return files, nil
}
