// Package api holds the proto files of the native API and of the agents' link,
// and what scripts/generate.sh makes of them: Go code in gen, and the OpenAPI
// description in openapi.
package api
