package main

import (
	"crypto/tls"
	"fmt"
	"net"

	"causeway/internal/cli"
	"causeway/internal/control/server"
)

// aliyunOptions are the flags of the compatible API.
type aliyunOptions struct {
	aliyunListen, aliyunCert, aliyunKey string
	aliyunAllowHTTP                     bool
}

func (o *aliyunOptions) flags(c *command) {
	f := c.Flags()
	f.StringVar(&o.aliyunListen, "aliyun-listen", "", "address and TCP port for the API that Alibaba Cloud's clients speak (default: it is off)")
	f.StringVar(&o.aliyunCert, "aliyun-cert", "", "file with the certificate for its HTTPS (default: the controller's own, which clients do not know)")
	f.StringVar(&o.aliyunKey, "aliyun-key", "", "file with that certificate's key")
	f.BoolVar(&o.aliyunAllowHTTP, "aliyun-allow-http", false, "take its requests over HTTP from other machines, too; they may hold keys of tunnels")
}

// open binds the port; nil when there is none.
func (o *aliyunOptions) open() (*server.Aliyun, error) {
	if o.aliyunListen == "" {
		return nil, nil
	}
	a := &server.Aliyun{AllowPlain: o.aliyunAllowHTTP}
	if (o.aliyunCert == "") != (o.aliyunKey == "") {
		return nil, cli.Misuse("--aliyun-cert and --aliyun-key belong together; found only one of them")
	}
	if o.aliyunCert != "" {
		pair, err := tls.LoadX509KeyPair(o.aliyunCert, o.aliyunKey)
		if err != nil {
			return nil, fmt.Errorf("read the certificate of the compatible API: %w", err)
		}
		a.Certificate = &pair
	}
	var err error
	if a.Listener, err = net.Listen("tcp", o.aliyunListen); err != nil {
		return nil, fmt.Errorf("start the compatible API: %w", err)
	}
	return a, nil
}
