"""The MCP surface, /mcp: tools for assistants that read and search transcripts."""
