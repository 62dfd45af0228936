"""Chat templates with tools, each with the structure of a published one, in a shorter form."""

#: As Qwen 2.5's: tools in the system turn; the results that follow each other in one user turn.
LIKE_QWEN = r"""
{%- set has_system = messages[0].role == 'system' %}
{%- if tools or has_system %}
{{- '<|im_start|>system\n' + (messages[0].content if has_system else 'Help.') }}
{%- if tools %}{{ '\n<tools>\n' }}
{%- for tool in tools %}{{ tool | tojson + '\n' }}{% endfor %}{{ '</tools>' }}
{%- endif %}{{ '<|im_end|>\n' }}
{%- endif %}
{%- for message in messages %}
{%- if message.role == 'tool' %}
{%- if loop.first or messages[loop.index0 - 1].role != 'tool' %}{{ '<|im_start|>user' }}{% endif %}
{{- '\n<tool_response>\n' + message.content + '\n</tool_response>' }}
{%- if loop.last or messages[loop.index0 + 1].role != 'tool' %}{{ '<|im_end|>\n' }}{% endif %}
{%- elif message.tool_calls %}{{ '<|im_start|>assistant' }}
{%- if message.content %}{{ '\n' + message.content }}{% endif %}
{%- for call in message.tool_calls %}
{{- '\n<tool_call>\n{"name": "' + call.function.name + '", "arguments": ' }}
{{- call.function.arguments | tojson + '}\n</tool_call>' }}
{%- endfor %}{{ '<|im_end|>\n' }}
{%- elif not (loop.first and has_system) %}
{{- '<|im_start|>' + message.role + '\n' + message.content + '<|im_end|>\n' }}
{%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"""

#: As Llama 3.1's: tools before the first user turn's text; one call a turn, and no text beside it;
#: results, as JSON, from `ipython`.
LIKE_LLAMA = """
{%- macro header(role) %}<|start_header_id|>{{ role }}<|end_header_id|>

{% endmacro %}{{- bos_token }}
{%- for message in messages %}
{%- if message.tool_calls %}
{%- if message.tool_calls | length != 1 %}{{ raise_exception('one call at a time') }}{% endif %}
{%- set call = message.tool_calls[0].function %}
{{- header('assistant') }}{"name": "{{ call.name }}", "parameters": {{ call.arguments | tojson }}}
{%- elif message.role in ('tool', 'ipython') %}{{ header('ipython') }}{{ message.content | tojson }}
{%- else %}{{ header(message.role) }}
{%- if tools and message.role == 'user' and loop.index <= 2 %}
{%- for tool in tools %}{{ tool | tojson }}
{% endfor %}
{%- endif %}{{ message.content }}
{%- endif %}<|eot_id|>
{%- endfor %}
{%- if add_generation_prompt %}{{ header('assistant') }}{% endif %}"""

#: As Mistral's: the tools stand before the last user turn, wherever that is.
LIKE_MISTRAL = """
{%- set users = messages | selectattr('role', 'equalto', 'user') | list %}
{%- for message in messages %}
{%- if message.role == 'user' %}
{%- if tools and message == users[-1] %}[TOOLS]{{ tools | tojson }}[/TOOLS]{% endif -%}
[INST]{{ message.content }}[/INST]
{%- elif message.tool_calls %}[CALLS]{{ message.tool_calls | tojson }}{{ eos_token }}
{%- elif message.role == 'tool' %}[RESULT]{{ message.content }}[/RESULT]
{%- else %}{{ message.content }}{{ eos_token }}
{%- endif %}
{%- endfor %}"""

#: As most templates without tools.
WITHOUT_TOOLS = """
{%- for message in messages %}{{ message.role }}: {{ message.content }}
{% endfor %}
{%- if add_generation_prompt %}assistant: {% endif %}"""
