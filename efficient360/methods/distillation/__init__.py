"""Knowledge distillation: a cut network learns the answers of its original again."""
