"""Write-back: tags, declarations with evidence, deliveries to receivers."""
