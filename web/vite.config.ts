import react from '@vitejs/plugin-react'
import { defineConfig } from 'vite'

// The controller embeds what is built here, so that Go alone builds the product.
export default defineConfig({
  base: './',
  plugins: [react()],
  build: {
    outDir: '../internal/control/console/dist',
    emptyOutDir: true,
    assetsDir: 'assets',
    sourcemap: false,
    chunkSizeWarningLimit: 900,
  },
  server: {
    proxy: { '^/causeway\\.v1\\.': { target: process.env.CONTROLLER ?? 'https://127.0.0.1:4640', secure: false } },
  },
})
