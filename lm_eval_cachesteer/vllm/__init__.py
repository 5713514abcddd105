"""Cache steering inside vLLM's V1 engine, through its scheduler and KV connector interfaces. Needs the extra `vllm`."""
